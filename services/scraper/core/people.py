"""Slack's user objects → the corpus's directory. Any field may be missing, null or of another type."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from proto.conversation import Person
from services.scraper.core.fields import parse_text, parse_user_id

__all__ = ["NAME_LIMIT", "home_teams", "names_of", "parse_person", "parse_text", "parse_user_id"]

NAME_LIMIT = 200


def parse_person(raw: Any, home: frozenset[str]) -> Person | None:
    """One user, or None where it has no usable id. `home`: the team ids that count as ours; empty: any."""
    if not isinstance(raw, dict):
        return None
    user = cast("dict[str, Any]", raw)
    user_id = parse_user_id(user.get("id"))
    if user_id is None:
        return None
    found = user.get("profile")
    profile = cast("dict[str, Any]", found) if isinstance(found, dict) else dict[str, Any]()
    names = (profile.get("display_name"), profile.get("real_name"), user.get("real_name"))
    return Person(
        user_id=user_id,
        handle=parse_text(user.get("name")).strip()[:NAME_LIMIT],
        display_name=next((text for name in names if (text := parse_text(name).strip())), "")[:NAME_LIMIT],
        is_bot=_any(user, "is_bot", "is_workflow_bot", "is_connector_bot")
        or bool(profile.get("bot_id"))
        or user_id == "USLACKBOT",
        is_guest=_any(user, "is_restricted", "is_ultra_restricted"),
        is_external=_any(user, "is_stranger") or not _is_at_home(user, home),
        is_deleted=_any(user, "deleted"),
    )


def home_teams(team_id: str, enterprise_id: str | None, users: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Which team ids in a directory are ours: the workspace itself and its organisation.

    An export may be imported under another id than the one written in it; then the directory's commonest is ours.
    """
    counted = Counter(team for user in users if isinstance(team := user.get("team_id"), str) and team)
    ours = frozenset(team for team in (team_id, enterprise_id) if team)
    if not counted or any(team in counted for team in ours):
        return ours
    return ours | {counted.most_common(1)[0][0]}


def names_of(people: Iterable[Person]) -> dict[str, str]:
    """User id → what to call them."""
    return {person.user_id: person.name for person in people}


def _any(user: Mapping[str, Any], *flags: str) -> bool:
    """Whatever is there but empty, zero or false counts: in doubt somebody is no persona."""
    return any(map(user.get, flags))


def _is_at_home(user: Mapping[str, Any], home: frozenset[str]) -> bool:
    team = user.get("team_id")
    if not home or not isinstance(team, str) or not team or team in home:
        return True
    found = user.get("enterprise_user")
    enterprise = cast("dict[str, Any]", found) if isinstance(found, dict) else dict[str, Any]()
    teams = enterprise.get("teams")
    if enterprise.get("enterprise_id") in home:
        return True
    return isinstance(teams, list) and any(each in home for each in cast("list[Any]", teams))
