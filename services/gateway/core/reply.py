"""What a message of ours looks like: parts, blocks, the mark of the machine."""

from dataclasses import dataclass
from typing import Any, Final

from doppel.slack import mrkdwn

PART_LIMIT: Final = 3000  # a section's text; below chat.update's 4,000 too
MAX_PARTS: Final = 6
NAME_LIMIT: Final = 60
SPEECHLESS: Final = "I have nothing to say to that."


@dataclass(frozen=True)
class Persona:
    """In whose voice, and under which name and picture."""

    user_id: str
    name: str
    icon_url: str

    @property
    def username(self) -> str:
        """The name carries the mark, so that a notification does too."""
        return f"{shown_name(self.name)} (AI)"


def shown_name(name: str) -> str:
    """A display name without what could pass for somebody else's mention or mark."""
    cleaned = " ".join(
        mrkdwn.defuse(name.replace("@", "").replace("<", "").replace(">", "").replace("&", "")).split()
    )
    return cleaned[:NAME_LIMIT] or "Someone"


def render_reply(text: str, persona: Persona | None, *, late_note: str = "") -> list[dict[str, Any]]:
    """Model output → bodies of chat.postMessage, one per part. Every part of a persona carries the AI mark."""
    whole = mrkdwn.defuse(text).strip() or SPEECHLESS
    parts = mrkdwn.split(f"{late_note}{whole}", PART_LIMIT)[:MAX_PARTS]
    return [_body(part, persona) for part in parts]


def _body(text: str, persona: Persona | None) -> dict[str, Any]:
    if persona is None:
        return {"text": text}
    mark = f"AI-generated in {shown_name(persona.name)}'s style, not written by {shown_name(persona.name)}"
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": mark}]},
    ]
    return {"text": text, "blocks": blocks, "username": persona.username, "icon_url": persona.icon_url}


def render_sentence(text: str) -> dict[str, Any]:
    """One plain sentence of the bot's own; mentions in it are ours and stay live."""
    return {"text": text}


def late_note(minutes: int) -> str:
    """Said before an answer to something asked a while ago."""
    return f"_(I was away; you asked {minutes} minutes ago.)_\n" if minutes > 0 else ""
