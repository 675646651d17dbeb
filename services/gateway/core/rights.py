"""Who may do what: one's own persona, or a workspace's admin; guests hear personas only where an admin allows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proto.conversation import Person
from proto.errors import Refusal
from services.gateway.core.people import person_of
from services.gateway.core.rules import Rules


class NotAllowed(Refusal):
    """The asker has no right to that."""

    code = "not_allowed"


@dataclass(frozen=True)
class Asker:
    """Whoever asks, as Slack knows them at this moment."""

    user_id: str
    is_member: bool  # of this workspace, in full: no guest, nobody from elsewhere, no bot, not deactivated
    is_admin: bool


def asker_of(raw: Mapping[str, Any], user_id: str, team_id: str) -> Asker:
    """From Slack's user object; somebody of whom Slack says nothing has no rights."""
    person = person_of(raw, team_id)
    is_member = person is not None and is_full_member(person)
    is_admin = any(raw.get(flag) is True for flag in ("is_admin", "is_owner", "is_primary_owner"))
    return Asker(user_id, is_member, is_member and is_admin)


def is_full_member(person: Person) -> bool:
    """Neither guest nor from elsewhere."""
    return not (person.is_guest or person.is_external or person.is_bot or person.is_deleted)


def may_manage(asker: Asker, user_id: str) -> bool:
    """Report, rollback, switch, forget: one's own persona, or an admin."""
    return asker.is_admin or (asker.is_member and asker.user_id == user_id)


def check_manage(asker: Asker, user_id: str) -> None:
    """Raises NotAllowed."""
    if not may_manage(asker, user_id):
        raise NotAllowed(f"Only <@{user_id}> or an admin of this workspace may do that.")


def check_admin(asker: Asker) -> None:
    """Raises NotAllowed."""
    if not asker.is_admin:
        raise NotAllowed("Only an admin of this workspace may change that.")


def check_train(asker: Asker, user_id: str, rules: Rules) -> None:
    """May they ask that person? Raises NotAllowed."""
    if not asker.is_member:
        raise NotAllowed("Guests and people of other workspaces can't have anybody trained here.")
    if asker.is_admin or rules.who_may_train == "members":
        return
    if rules.who_may_train == "admins":
        raise NotAllowed("Only admins may have somebody trained in this workspace.")
    if asker.user_id != user_id:
        raise NotAllowed(
            "In this workspace everybody may have only themselves trained; an admin may ask for others."
        )


def may_hear(asker: Asker, rules: Rules) -> bool:
    """Does a persona answer them? It could tell a guest what they can't see."""
    return asker.is_member or rules.guests_may_ask


def check_hear(asker: Asker, rules: Rules) -> None:
    """Raises NotAllowed."""
    if not may_hear(asker, rules):
        raise NotAllowed(
            "Personas answer members of this workspace only. An admin can change that: /doppel limits guests on"
        )
