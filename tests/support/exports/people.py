"""Users of a made-up export, and what the facts allow each of them: a persona, none, or either."""

from dataclasses import dataclass
from random import Random
from typing import Any, Final

TEAM: Final = "T0HOME"
ORG: Final = "E0ORG"
NAMES: Final = [
    "Ada",
    "Ada",
    "ada",
    "Bram Stoker",
    "Łukasz 漢字",
    "مريم",
    "O'Neil | <b>",
    "👩‍💻",
    "U0MEMBER1",
    "N" * 80,
]


@dataclass(frozen=True)
class User:
    """One person of the story. `persona` is None where the facts leave it open."""

    user_id: str
    row: dict[str, Any] | None  # None: not in users.json
    name: str  # what a mention of them shows
    persona: bool | None
    is_human: bool = True


# what makes somebody no candidate: fields of the user, fields of the profile
NEVER: Final[list[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({"deleted": True}, {}),
    ({"is_restricted": True}, {}),
    ({"is_restricted": True, "is_ultra_restricted": True}, {}),
    ({"is_ultra_restricted": True}, {}),
    ({"is_stranger": True}, {}),
    ({"is_stranger": True, "team_id": "T0OTHER"}, {}),
    ({"team_id": "T0OTHER"}, {"team": "T0OTHER"}),
    ({"team_id": "E0OTHERORG"}, {}),
    ({"is_restricted": 1}, {}),  # of another type: in doubt not offered
    ({"deleted": "true"}, {}),
]
BOTS: Final[list[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({"is_bot": True}, {"bot_id": "B0X", "api_app_id": "A0X"}),
    ({"is_bot": True, "deleted": True}, {}),
    ({"is_workflow_bot": True}, {}),
    ({"is_bot": True, "is_connector_bot": True}, {}),
    ({"is_bot": "true"}, {}),
]
OPEN: Final[list[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({"team_id": None}, {}),
    ({"team_id": 7}, {}),
    ({"is_invited_user": True}, {}),
    ({"deleted": "false"}, {}),
]
MEMBER: Final[list[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({}, {}),
    ({}, {}),
    ({"is_app_user": True}, {}),
    ({"is_admin": True, "is_owner": True}, {}),
    ({"is_bot": None, "deleted": None, "is_restricted": None, "is_stranger": None}, {"bot_id": None}),
    ({"team_id": "E0ORG", "enterprise_user": {"enterprise_id": "E0ORG", "teams": [TEAM]}}, {}),
]
NOISE: Final[dict[str, Any]] = {
    "color": "9f69e7",
    "tz": None,
    "tz_offset": None,
    "updated": 1700000000,
    "is_email_confirmed": True,
    "who_can_share_contact_card": "EVERYONE",
    "has_2fa": False,
}


def make_users(rng: Random) -> list[User]:
    """At least two members, and some of every other kind; then people that the directory does not know."""
    users = [_user(rng, f"{'UW'[number % 2]}0MEMBER{number}", ({}, {}), True) for number in range(2)]
    users += [_user(rng, f"U0ANY{n}", rng.choice(MEMBER), True) for n in range(rng.randrange(3))]
    users += [_user(rng, f"W0NEVER{n}", rng.choice(NEVER), False) for n in range(rng.randrange(4))]
    users += [
        _user(rng, f"U0BOT{n}", rng.choice(BOTS), False, is_human=False) for n in range(rng.randrange(3))
    ]
    if rng.random() < 0.3:
        users.append(_user(rng, "U0OPEN", rng.choice(OPEN), None))
    if rng.random() < 0.5:
        users.append(_user(rng, "USLACKBOT", ({"is_bot": False, "team_id": TEAM}, {}), False, is_human=False))
    users.append(User("U00", None, "someone", False))
    users += [User(f"{'UW'[n]}0CONNECT{n}", None, "someone", False) for n in range(rng.randrange(3))]
    return users


def _user(
    rng: Random,
    user_id: str,
    fields: tuple[dict[str, Any], dict[str, Any]],
    persona: bool | None,
    *,
    is_human: bool = True,
) -> User:
    name, handle = rng.choice(NAMES), f"handle.{user_id.lower()}"
    row: dict[str, Any] = {
        "id": user_id,
        "team_id": TEAM,
        "name": handle,
        "deleted": False,
    }
    profile: dict[str, Any] = {
        "email": "someone@example.com",
        "image_24": "https://example.com/i.png",
        "team": TEAM,
    }
    match rng.randrange(5):
        case 0:
            profile |= {"display_name": name, "real_name": "Real Name"}
        case 1:
            profile |= {"display_name": "", "real_name": name, "display_name_normalized": None}
        case 2:
            profile |= {"display_name": None, "real_name": f" {name} "}
        case 3:
            row["real_name"] = name
        case _:
            name = handle
            profile |= {"display_name": 5, "real_name": None}
            row["real_name"] = None
    row |= {key: value for key, value in NOISE.items() if rng.random() < 0.5} | fields[0]
    profile |= fields[1]
    if rng.random() < 0.1 and name in (row["name"], row.get("real_name")):
        row["profile"] = rng.choice((None, [], "profile", 3))
        if fields[1].get("bot_id") or "is_bot" in row:
            row["profile"] = profile
    elif rng.random() < 0.9 or name not in (row["name"], row.get("real_name")) or fields[1]:
        row["profile"] = profile
    return User(user_id, row, name, persona, is_human)


def users_json(rng: Random, users: list[User]) -> list[Any]:
    """The directory: in any order, with what a careless hand adds."""
    rows: list[Any] = [user.row for user in users if user.row is not None]
    if rng.random() < 0.3:
        rows += rng.sample([None, 7, "U0X", [], {}, {"id": None}, {"id": 5}, {"id": "not an id"}], 3)
    if rng.random() < 0.2:
        rows.append(dict(rows[0]))
    rng.shuffle(rows)
    return rows
