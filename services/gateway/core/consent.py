"""The consent question: what is read, what is kept, how to stop. Both buttons weigh the same."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

ALLOW: Final = "consent_allow"
DENY: Final = "consent_no"
OWN: Final = "own"  # a button's value where no training is meant, but oneself


@dataclass(frozen=True)
class Consent:
    """Somebody's newest word."""

    granted: bool
    recorded_by: str
    recorded_at: datetime


def render_own(consent: Consent | None) -> dict[str, Any]:
    """A person's own yes or no, with what changes it."""
    if consent is None:
        said, buttons = "You have said neither yes nor no, so I learn nothing from you.", (ALLOW, DENY)
    else:
        by = "" if consent.recorded_by == "person" else f" (recorded by an {consent.recorded_by})"
        since = f"{consent.recorded_at:%-d %B %Y}{by}"
        said = (
            f"You allowed me on {since} to learn how you write and to answer in your style, marked as AI."
            if consent.granted
            else f"You said no on {since}: I learn nothing from you, and nobody answers in your style."
        )
        buttons = (DENY,) if consent.granted else (ALLOW,)
    labels = {ALLOW: "Allow", DENY: "No"}
    elements = [_button(labels[each], each, OWN) for each in buttons]
    return {
        "text": said,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": said}},
            {"type": "actions", "block_id": "consent", "elements": elements},
        ],
    }


def render_question(asked_by: str, request_id: str) -> dict[str, Any]:
    """The DM to the person. Silence is a no."""
    text = (
        f"<@{asked_by}> would like me to learn how you write, so that I can answer mentions in your style.\n\n"
        "*What I read:* the public channels of this workspace, as far back as they go. I learn from your words only; "
        "others' are context. Never private channels, never direct messages.\n"
        "*What I keep:* samples of your messages and a small model file made from them, on this team's own machines. "
        "Nothing leaves them.\n"
        "*Who may use it:* people of this workspace. Every such message is marked as written by an AI.\n"
        "*How to stop:* press *No* here at any time: I stop at once, and delete what I made from you.\n\n"
        "It is your choice. Without your yes nothing happens."
    )
    buttons = [_button("Allow", ALLOW, request_id), _button("No", DENY, request_id)]
    return {
        "text": f"<@{asked_by}> would like me to learn how you write. May I?",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "actions", "block_id": "consent", "elements": buttons},
        ],
    }


def _button(label: str, action_id: str, value: str) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action_id,
        "value": value,
        "text": {"type": "plain_text", "text": label},
    }


def render_outcome(*, granted: bool, request_id: str) -> dict[str, Any]:
    """The question after the answer; the other button stays, so that a mind can change."""
    text = (
        "You allowed it. I learn from your public messages now. Press *No* at any time: I stop at once and delete it."
        if granted
        else "You said no. I learn nothing from you, and nobody answers in your style."
    )
    blocks: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    if granted:
        blocks.append(
            {"type": "actions", "block_id": "consent", "elements": [_button("No", DENY, request_id)]},
        )
    return {"text": text, "blocks": blocks}


def render_asker_told(user_id: str) -> str:
    """What the asker hears of a no."""
    return f"<@{user_id}> said no, so nothing is trained. That is their choice; please leave it there."


def render_recorded(*, granted: bool) -> str:
    """What a person hears when an operator recorded their answer."""
    if granted:
        return (
            "An operator of doppel recorded that you allow it to learn how you write and to answer in your style, "
            "marked as AI. If that is not so, tell them: a no stops it at once."
        )
    return "An operator of doppel recorded your no: it learns nothing from you, and nobody answers in your style."
