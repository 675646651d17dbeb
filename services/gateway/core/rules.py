"""What a workspace allows itself: the deployment's limits, and an admin's own below them."""

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

WhoMayTrain = Literal["members", "self", "admins"]
Field = Literal["who_may_train", "guests_may_ask", "personas", "runs_a_day", "replies_a_minute"]

_FIELDS: Final[dict[str, Field]] = {
    "train": "who_may_train",
    "guests": "guests_may_ask",
    "personas": "personas",
    "runs": "runs_a_day",
    "replies": "replies_a_minute",
}
_TRAINS: Final[dict[WhoMayTrain, str]] = {
    "members": "every member",
    "self": "everybody themselves; admins for others too",
    "admins": "admins only",
}
MOST: Final = 1_000_000


@dataclass(frozen=True)
class Rules:
    """One workspace's."""

    who_may_train: WhoMayTrain = "members"
    guests_may_ask: bool = False
    personas: int = 50
    runs_a_day: int = 20
    replies_a_minute: int = 600


@dataclass(frozen=True)
class Own:
    """What its admins have decided; None: the deployment's."""

    who_may_train: WhoMayTrain | None = None
    guests_may_ask: bool | None = None
    personas: int | None = None
    runs_a_day: int | None = None
    replies_a_minute: int | None = None


@dataclass(frozen=True)
class Change:
    """One rule; None goes back to the deployment's."""

    field: Field
    value: str | bool | int | None


@dataclass(frozen=True)
class Usage:
    """How much is used now."""

    personas: int
    runs: int


def parse_change(text: str) -> Change | None:
    """``runs 5``, ``train admins``, ``guests on``, ``personas default``; None where it is nothing of these."""
    name, _, typed = text.strip().lower().partition(" ")
    field, value = _FIELDS.get(name), typed.strip()
    if field is None:
        return None
    if value == "default":
        return Change(field, None)
    if field == "who_may_train":
        return Change(field, value) if value in get_args(WhoMayTrain) else None
    if field == "guests_may_ask":
        return Change(field, value == "on") if value in ("on", "off") else None
    if not (value.isascii() and value.isdigit() and 0 < int(value[:8]) <= MOST and len(value) < 8):
        return None
    return Change(field, int(value))


def changed(own: Own, change: Change) -> Own:
    """With one rule more."""
    return replace(own, **{change.field: change.value})


def rules_of(deployed: Rules, own: Own) -> Rules:
    """What counts. A number of the deployment can be lowered, never raised."""
    return Rules(
        own.who_may_train or deployed.who_may_train,
        deployed.guests_may_ask if own.guests_may_ask is None else own.guests_may_ask,
        min(own.personas or MOST, deployed.personas),
        min(own.runs_a_day or MOST, deployed.runs_a_day),
        min(own.replies_a_minute or MOST, deployed.replies_a_minute),
    )


def render_rules(rules: Rules, usage: Usage) -> str:
    """For whoever asks."""
    return (
        f"Who may have somebody trained: {_TRAINS[rules.who_may_train]}.\n"
        f"Guests and people of other workspaces hear personas: {'yes' if rules.guests_may_ask else 'no'}.\n"
        f"Personas: {usage.personas} of {rules.personas}. Trainings in 24 hours: {usage.runs} of {rules.runs_a_day}. "
        f"Answers a minute: at most {rules.replies_a_minute}; what is more waits.\n"
        "An admin changes them: `/doppel limits train members|self|admins`, `guests on|off`, `personas N`, `runs N`, "
        "`replies N`, and *default* for what the operator has set. The operator's numbers can only be lowered."
    )
