"""Who may be imitated, read from Slack's user objects."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from proto.errors import PersonaNotAllowed, PersonaUnknown

User = Mapping[str, Any]


def name_of(user: User) -> str:
    """Display name, else real name, else handle."""
    profile = cast("User", user.get("profile") or {})
    found = (
        profile.get("display_name") or profile.get("real_name") or user.get("real_name") or handle_of(user)
    )
    return " ".join(str(found).split())[:80]


def handle_of(user: User) -> str:
    """What people type after an ``@``."""
    return str(user.get("name") or "")


def pick_by_name(users: Iterable[User], name: str) -> User:
    """The one person with that handle, else with that display name. Raises PersonaUnknown when none or several."""
    wanted = name.casefold()
    everyone = list(users)
    for read in (handle_of, name_of):
        found = [user for user in everyone if read(user).casefold() == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            break
    raise PersonaUnknown(f"@{name}")


def check_may_be_persona(user: User, team_id: str) -> None:
    """Full, living, own members only. Raises PersonaNotAllowed with the reason."""
    user_id = str(user.get("id") or "")
    reason = None
    if user.get("is_bot") or user.get("is_workflow_bot") or user_id == "USLACKBOT":
        reason = "this is a bot"
    elif user.get("deleted"):
        reason = "this account is deactivated"
    elif user.get("is_restricted") or user.get("is_ultra_restricted"):
        reason = "guests are never imitated"
    elif user.get("is_stranger") or _is_foreign(user, team_id):
        reason = "this person belongs to another organisation"
    if reason:
        raise PersonaNotAllowed(user_id, reason)


def _is_foreign(user: User, team_id: str) -> bool:
    return bool(user.get("team_id")) and user["team_id"] != team_id and not user.get("enterprise_user")
