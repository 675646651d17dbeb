"""Who may be imitated, and what people are called; from what Slack says about them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from proto.conversation import Person


def person_of(raw: Mapping[str, Any], team_id: str) -> Person | None:
    """Slack's user object as a `Person`; None where it has no id of ours."""
    user_id = str(raw.get("id") or "")
    if not re.fullmatch(r"[UW][A-Z0-9]{1,30}", user_id):
        return None
    profile = raw.get("profile")
    told: Mapping[str, Any] = cast("Mapping[str, Any]", profile) if isinstance(profile, dict) else {}
    home = raw.get("team_id")
    return Person(
        user_id=user_id,
        handle=str(raw.get("name") or ""),
        display_name=str(told.get("display_name") or told.get("real_name") or raw.get("real_name") or ""),
        is_bot=bool(raw.get("is_bot") or raw.get("is_workflow_bot")),
        is_guest=bool(raw.get("is_restricted") or raw.get("is_ultra_restricted")),
        is_external=bool(raw.get("is_stranger")) or bool(home and home != team_id),
        is_deleted=bool(raw.get("deleted")),
    )


def why_not(person: Person, bot_user_id: str) -> str | None:
    """Why somebody can't be imitated, as the rest of "…can't be imitated: "; None where they can."""
    if person.user_id == bot_user_id:
        return "that is me"
    if person.is_bot or person.user_id == "USLACKBOT":
        return "that is a bot, not a person"
    if person.is_deleted:
        return "that account is deactivated"
    if person.is_external:
        return "they belong to another workspace"
    if person.is_guest:
        return "they are a guest here"
    return None


def named(people: Iterable[Person], name: str) -> list[Person]:
    """Everybody whose handle is that; else everybody whose display name is."""
    wanted = name.casefold()
    known = list(people)
    by_handle = [person for person in known if person.handle.casefold() == wanted]
    return by_handle or [person for person in known if person.display_name.casefold() == wanted]
