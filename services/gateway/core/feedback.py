"""The buttons under an answer, and what pressing them means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from proto.slack import Interaction
from services.gateway.core.outbox import OutboxRow
from services.gateway.core.reply import Post, section, with_mentions
from services.gateway.core.rights import Asker, NotAllowed, check_hear, may_manage
from services.gateway.core.rules import Rules

RATE: Final = "answer_rate"
AGAIN: Final = "answer_again"
NOT_ME: Final = "not_me"  # a button, and the callback_id of the message's shortcut
Verdict = Literal["good", "bad", "not_me"]
Deed = Literal["good", "bad", "again", "not_me"]

THANKS: Final[dict[Verdict, str]] = {
    "good": "Thanks, noted: a good answer. You can change your mind with the other thumb.",
    "bad": "Thanks, noted: not a good answer. You can change your mind with the other thumb.",
    "not_me": "I took that answer away and told the admins. `/doppel consent no` stops all answers in your voice.",
}
GONE: Final = "That answer is not there any more."
REPLACED: Final = "That answer is being made anew, or was already."
NO_QUESTION: Final = "I can't find the question any more, so the answer stays as it is."


@dataclass(frozen=True)
class Press:
    """What somebody wants done with an answer. No id: the one in the message that the shortcut was used on."""

    deed: Deed
    request_id: UUID | None


def with_buttons(
    posts: Sequence[Post], request_id: UUID, user_id: str | None, *, may_repeat: bool
) -> list[Post]:
    """Put the buttons under the last message of an answer that stays."""
    staying = [each for each in posts if not each.get("is_gone")]
    if not staying:
        return list(posts)
    *first, last = staying
    blocks = last.get("blocks") or [section(str(last["text"]))]
    buttons = _buttons(str(request_id), user_id, may_repeat=may_repeat)
    return [*first, {**last, "blocks": [*blocks, *buttons]}, *posts[len(staying) :]]


def _buttons(request_id: str, user_id: str | None, *, may_repeat: bool) -> list[dict[str, Any]]:
    elements: list[dict[str, Any]] = [
        {
            "type": "feedback_buttons",
            "action_id": RATE,
            "positive_button": _side("Good answer", f"good:{request_id}"),
            "negative_button": _side("Not a good answer", f"bad:{request_id}"),
        }
    ]
    if user_id is not None:  # shown to nobody but the person themselves
        elements.append(
            {
                "type": "icon_button",
                "icon": "trash",
                "action_id": NOT_ME,
                "text": _plain("This is not me"),
                "value": request_id,
                "visible_to_user_ids": [user_id],
            }
        )
    blocks: list[dict[str, Any]] = [
        {"type": "context_actions", "block_id": "answer", "elements": elements},
    ]
    if may_repeat:
        again = {"type": "button", "action_id": AGAIN, "value": request_id, "text": _plain("Answer again")}
        blocks.append({"type": "actions", "block_id": "answer_again", "elements": [again]})
    return blocks


def read_press(pressed: Interaction) -> Press | None:
    """What was pressed, if it is about an answer. Values are whatever the sender wrote into them."""
    if pressed.type == "message_action":
        return Press("not_me", None) if pressed.callback_id == NOT_ME else None
    for action in pressed.actions:
        side, _, named = (action.value or "").rpartition(":")
        match action.action_id, side:
            case "answer_rate", ("good" | "bad") as verdict:
                return Press(verdict, _uuid(named))
            case "answer_again", "":
                return Press("again", _uuid(named))
            case "not_me", "":
                return Press("not_me", _uuid(named))
            case _:
                continue
    return None


def is_answer(row: OutboxRow, *, api_app_id: str, team_id: str, channel: str | None) -> bool:
    """Is it an answer of the place where the button was pressed? Ids of another workspace or channel name nothing."""
    return (
        row.kind == "reply"
        and (row.is_on_show or row.state == "sending")
        and (row.key.api_app_id, row.team_id, row.key.channel) == (api_app_id, team_id, channel)
    )


def check_rate(asker: Asker, row: OutboxRow, rules: Rules) -> None:
    """Whoever may hear a persona may say how good it is. Raises NotAllowed."""
    if row.user_id is not None:
        check_hear(asker, rules)


def check_again(asker: Asker, row: OutboxRow, rules: Rules) -> None:
    """Whoever asked, the person themselves, or an admin. Raises NotAllowed."""
    check_rate(asker, row, rules)
    allowed = asker.is_admin or (row.user_id is not None and may_manage(asker, row.user_id))
    if asker.user_id != row.asked_by and not allowed:
        raise NotAllowed(
            "Only whoever asked, the person who is imitated, or an admin may have that answered again."
        )


def check_not_me(user_id: str, row: OutboxRow) -> None:
    """Nobody but the person themselves. Raises NotAllowed."""
    if row.user_id is None:
        raise NotAllowed("That answer is in nobody's voice.")
    if row.user_id != user_id:
        raise NotAllowed(f"Only <@{row.user_id}> can say so of an answer in their voice.")


def render_not_me(row: OutboxRow) -> Post:
    """What admins hear. The words themselves are gone, and are not repeated."""
    asked = f", asked by <@{row.asked_by}>," if row.asked_by else ""
    version = f" (version {str(row.run_id)[:8]})" if row.run_id else ""
    person = f"<@{row.user_id}>"
    said = with_mentions(
        f"{person} says that an answer in their voice{version}{asked} is not them, and took it away. "
        f"/doppel report {person} shows how that voice does; /doppel rollback {person} lets the version before answer."
    )
    return {"text": f"In <#{row.key.channel}>: {said}"}


def _side(label: str, value: str) -> Mapping[str, Any]:
    return {"text": _plain(label), "accessibility_label": label, "value": value}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def _uuid(text: str) -> UUID:
    """What is no id names nothing."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
