"""Forgetting somebody: in how many rounds, when it is over, and what is said about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

FORGET: Final = "forget_yes"
KEEP: Final = "forget_no"
SERVICES: Final = (
    "scraper",
    "trainer",
)  # each answers each round; replicas of inference answer for themselves
ROUNDS: Final = 3
_PAUSES_S: Final = (
    20.0,
    120.0,
    3600.0,
    6 * 3600.0,
)  # what was under way in the first round has ended by the third


@dataclass(frozen=True)
class Purge:
    """One person's, as it stands. `requested_at`: what began later stays where they have said yes since."""

    purge_id: UUID
    team_id: str
    user_id: str
    requested_at: datetime
    round: int
    answers: Mapping[str, Any]


def pause_s(round_number: int) -> float:
    """How long after this round the next one goes out."""
    return _PAUSES_S[min(round_number, len(_PAUSES_S)) - 1]


def is_over(purge: Purge) -> bool:
    """Has every service answered the last of the rounds, with nothing left?"""
    answers: list[dict[str, Any]] = [purge.answers.get(service, {}) for service in SERVICES]
    return purge.round >= ROUNDS and all(
        answer.get("round", 0) >= ROUNDS and not answer.get("left") for answer in answers
    )


def render_confirm(user_id: str, *, is_own: bool) -> dict[str, Any]:
    """The last question before it is done."""
    whose, them = ("your", "you") if is_own else (f"<@{user_id}>'s", "them")
    text = (
        f"*Forget {'you' if is_own else f'<@{user_id}>'}?* This deletes {whose} samples, every version of {whose} "
        f"voice, its reports, and {whose} messages in my copy of the history; nobody answers in {whose} style any "
        f"more. It can't be undone. What I wrote in channels stays there, and voices of others that were trained "
        f"while {them if is_own else 'they'} were in the conversation stay too: they learnt others' words."
    )
    buttons = [_button("Forget", FORGET, user_id, style="danger"), _button("Leave it", KEEP, user_id)]
    return {
        "text": f"Forget {'you' if is_own else f'<@{user_id}>'}? This can't be undone.",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "actions", "block_id": "forget", "elements": buttons},
        ],
    }


def render_begun(user_id: str, *, is_own: bool) -> dict[str, Any]:
    """Said once it is written down: from then on it happens, whatever fails."""
    who = "You are" if is_own else f"<@{user_id}> is"
    text = (
        f"{who} being forgotten: nobody answers in {'your' if is_own else 'their'} style from now on, and what was "
        "made is deleted within minutes. An operator can prove it: doppel purge --verify."
    )
    return {"text": text, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]}


def render_kept() -> dict[str, Any]:
    """Nothing was done."""
    text = "Left as it is."
    return {"text": text, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]}


def _button(label: str, action_id: str, value: str, **more: str) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action_id,
        "value": value,
        "text": {"type": "plain_text", "text": label},
        **more,
    }
