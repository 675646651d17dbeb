"""The Home tab: who can answer and where, what is under way, one's own yes or no, and *Forget me*."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from services.gateway.core.consent import Consent, render_own
from services.gateway.core.forgetting import FORGET
from services.gateway.core.menu import MENU, OPEN
from services.gateway.core.reply import context, section
from services.gateway.core.standing import Standing, render_places, render_status

HOME: Final = "home"  # the view's callback_id
TEXT_LIMIT: Final = 2900


@dataclass(frozen=True)
class Own:
    """What concerns the person who looks."""

    user_id: str
    consent: Consent | None
    versions: int
    forgotten_at: datetime | None  # since when a purge of theirs is under way


def render_home(standing: Standing, own: Own) -> dict[str, Any]:
    """One view for one person."""
    blocks: list[dict[str, Any]] = [
        _header("Who can answer"),
        section(_cut(render_places(standing))),
        section(_cut(render_status(standing))),
        {"type": "actions", "block_id": MENU, "elements": [_button("Open the form", OPEN, MENU)]},
        {"type": "divider"},
        _header("You"),
        *render_own(own.consent)["blocks"],
    ]
    agrees = own.consent is not None and own.consent.granted
    if own.forgotten_at is not None and not agrees:
        blocks.append(section("What was made from you is being deleted."))
    elif own.versions or agrees:
        blocks += [
            section(
                f"There {_are(own.versions)} of your voice. *Forget me* takes back your yes and deletes your samples, "
                "every version, the reports, and your messages in my copy of the history."
            ),
            {"type": "actions", "block_id": "forget", "elements": [_forget(own.user_id)]},
        ]
    blocks.append(context("Every message in somebody's style is marked as written by an AI. /doppel help"))
    return {"type": "home", "callback_id": HOME, "blocks": blocks}


def hash_of(view: dict[str, Any]) -> str:
    """What it shows, in a few letters."""
    return hashlib.sha256(json.dumps(view, sort_keys=True).encode()).hexdigest()[:32]


def _are(versions: int) -> str:
    return (
        "is 1 version" if versions == 1 else f"are {versions} versions" if versions else "is no version yet"
    )


def _forget(user_id: str) -> dict[str, Any]:
    """Slack asks once more before the press counts."""
    confirm = {
        "title": _plain("Forget you?"),
        "text": _plain("This deletes what was made from you. It can't be undone."),
        "confirm": _plain("Forget me"),
        "deny": _plain("Leave it"),
        "style": "danger",
    }
    return _button("Forget me", FORGET, user_id) | {"style": "danger", "confirm": confirm}


def _header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": _plain(text)}


def _button(label: str, action_id: str, value: str) -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "value": value, "text": _plain(label)}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def _cut(text: str) -> str:
    """A section's limit, at a line's end."""
    if len(text) <= TEXT_LIMIT:
        return text
    return text[:TEXT_LIMIT].rpartition("\n")[0] + "\n…"
