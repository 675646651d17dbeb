"""The synthetic people, bots and channels: fixed ids, so that tests may name them."""

from typing import Any

from playground.model import BOT_ID, BOT_USER_ID, SeedChannel, User

TEAM_NAME = "Doppel Playground (synthetic)"
DOMAIN = "doppel-playground"
_UPDATED = 1_700_000_000

PEOPLE = (
    ("U0ADA", "ada", "Ada Lindqvist", "e8912d"),
    ("U0BRAM", "bram", "Bram de Wit", "2b6cb0"),
    ("U0CHIYO", "chiyo", "Chiyo Tanaka", "d53f8c"),
    ("U0DEV", "dev", "Dev Raghavan", "2f855a"),
    ("U0ELENA", "elena", "Elena Petrova", "6b46c1"),
    ("U0FINN", "finn", "Finn O'Shea", "c53030"),
    ("U0GRACE", "grace", "Grace Mbeki", "4d7c0f"),
)


def person(user_id: str, name: str, real_name: str, color: str, team_id: str, **flags: Any) -> User:
    """A user in the shape of users.info."""
    first = real_name.partition(" ")[0]
    return {
        "id": user_id,
        "team_id": team_id,
        "name": name,
        "deleted": False,
        "color": color,
        "real_name": real_name,
        "tz": "Europe/Amsterdam",
        "tz_label": "Central European Time",
        "tz_offset": 3600,
        "profile": {
            "display_name": first,
            "display_name_normalized": first,
            "real_name": real_name,
            "real_name_normalized": real_name,
            "title": "Synthetic person",
            "image_24": "",
            "image_48": "",
            "image_72": "",
            "team": team_id,
        },
        "is_admin": False,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_bot": False,
        "is_app_user": False,
        "who_can_share_contact_card": "EVERYONE",
        "updated": _UPDATED,
    } | flags


def users(team_id: str, app_id: str) -> list[User]:
    """Everybody: people, a guest, a deactivated person, bots, Slackbot."""
    everybody = [person(*each, team_id) for each in PEOPLE]
    everybody[1] |= {"is_admin": True, "is_owner": True, "is_primary_owner": True}
    everybody += [
        person("U0GUEST", "gil", "Gil Acme", "718096", team_id, is_restricted=True),
        person("U0GONE", "hanna", "Hanna Holm", "a0aec0", team_id, deleted=True),
        person("U0DEPLOY", "deploybot", "deploybot", "1a202c", team_id, is_bot=True),
        person(BOT_USER_ID, "doppel", "doppel", "4a154b", team_id, is_bot=True),
        person("USLACKBOT", "slackbot", "Slackbot", "757575", team_id),
    ]
    for user, bot_id, its_app in ((everybody[-3], "B0DEPLOY", "A0DEPLOY"), (everybody[-2], BOT_ID, app_id)):
        user["profile"] |= {"bot_id": bot_id, "api_app_id": its_app, "title": "App"}
    return everybody


def bots(app_id: str) -> list[dict[str, Any]]:
    """As bots.info gives them."""
    names = (("B0DEPLOY", "deploybot", "A0DEPLOY", "U0DEPLOY"), (BOT_ID, "doppel", app_id, BOT_USER_ID))
    return [
        {
            "id": bot,
            "deleted": False,
            "name": name,
            "updated": _UPDATED,
            "app_id": app,
            "user_id": user,
            "icons": {},
        }
        for bot, name, app, user in names
    ]


def channels(created: int) -> list[SeedChannel]:
    """Five public channels, one private, two DMs; the bot is in some."""
    staff = [user_id for user_id, *_ in PEOPLE]
    make = SeedChannel
    return [
        make("C0GENERAL", "general", "public", created, "U0BRAM", [*staff, "U0GONE", BOT_USER_ID],
             "Company-wide announcements and work talk", "For everybody", is_general=True),
        make("C0ENG", "eng", "public", created, "U0ELENA", [*staff, "U0GONE", BOT_USER_ID],
             "Ships on Thursdays", "Engineering"),
        make("C0RANDOM", "random", "public", created, "U0FINN", [*staff, BOT_USER_ID],
             "Coffee, plants, lunch", "Everything else"),
        make("C0SUPPORT", "support", "public", created, "U0DEV", [*staff, "U0GUEST"],
             "Customers first", "Questions from customers"),
        make("C0DESIGN", "design", "public", created, "U0GRACE", staff, "Pixels and words", "Design"),
        make("G0BOARD", "board", "private", created, "U0BRAM", ["U0BRAM", "U0ADA"], "", "Private"),
        make("D0ADABRAM", "U0ADA", "im", created, "U0ADA", ["U0ADA", "U0BRAM"]),
    ]  # fmt: skip
