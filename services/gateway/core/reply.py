"""What is posted: model output made harmless, split, and marked as an AI's."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from doppel.slack import mrkdwn
from proto.conversation import PART_BREAK, split_parts
from services.gateway.core.thread import Voice

PART_LIMIT: Final = 3000  # characters after escaping: a section's limit
MAX_PARTS: Final = 10
TEXT_LIMIT: Final = 3900  # of a message that is rewritten: above 4,000 Slack refuses it
MOST_SECTIONS: Final = 4  # of a message: with more it may become too long for Slack
MAX_MESSAGES: Final = 5  # of a persona in a row; what comes after them goes into the last
METADATA_TYPE: Final = "doppel_reply"
EMPTY: Final = "I have nothing to say to that."
_ESCAPED_MENTION: Final = re.compile(r"&lt;@([UW][A-Z0-9]{1,30})&gt;")

Post = dict[str, Any]


def render_answer(text: str, voice: Voice, *, icon_url: str, note: str | None = None) -> list[Post]:
    """The parts of an answer, ready for chat.postMessage. At least one.

    A persona answers as its person writes, in several messages where these would; the base model in one.
    """
    noted = f"({note}) {text}" if note else text
    messages = [noted] if voice.user_id is None else _messages_of(noted)
    harmless = [said for message in messages if (said := mrkdwn.defuse(message).strip())] or [EMPTY]
    parts = [part for message in harmless for part in mrkdwn.split(message, PART_LIMIT)][:MAX_PARTS]
    return [_answer_post(part, voice, icon_url) for part in parts]


def render_to_one(text: str, voice: Voice, *, note: str | None = None) -> Post:
    """The same for one reader's eyes: one message, which can't have the persona's name and picture, so it names it."""
    parts = render_answer(text, voice, icon_url="", note=note)
    said = [str(part["text"]) for part in parts]
    name = mrkdwn.defuse(voice.username)
    blocks = [
        context(f"*{name}* answers you alone"),
        *(section(each) for each in said),
        context(ai_label(voice.name)),
    ]
    return {"text": f"{name}: " + "\n\n".join(said), "blocks": blocks}


def _messages_of(text: str) -> list[str]:
    said = split_parts(text)
    last = MAX_MESSAGES - 1
    return [*said[:last], PART_BREAK.join(said[last:])]


def _answer_post(text: str, voice: Voice, icon_url: str) -> Post:
    if voice.user_id is None:
        return {"text": text}
    return {
        "text": text,
        "username": voice.username,
        "icon_url": icon_url,
        "blocks": [
            section(text),
            context(ai_label(voice.name)),
        ],
    }


def ai_label(name: str) -> str:
    """What stands under every imitated message."""
    shown = mrkdwn.defuse(name)[:80]
    return f"AI-generated in {shown}'s style, not written by {shown}"


def in_place_of(posts: Sequence[Post], targets: Sequence[str]) -> list[Post]:
    """The same posts in messages that are there already. What has no message goes into the last; what is over, goes.

    `targets`: the messages' ts, oldest first, at least one.
    """
    kept = list(posts[: len(targets)])
    if len(posts) > len(targets):
        kept[-1] = _merged(posts[len(targets) - 1 :])
    surplus = [{"rewrites": ts, "text": "", "is_gone": True} for ts in targets[len(kept) :]]
    rewritten = [
        {"text": each["text"], "blocks": each.get("blocks"), "rewrites": ts}
        for each, ts in zip(kept, targets, strict=False)
    ]
    return rewritten + surplus


def _merged(posts: Sequence[Post]) -> Post:
    """Several as one: every section, under the label of the last."""
    text = mrkdwn.split("\n\n".join(str(each["text"]) for each in posts), TEXT_LIMIT)[0]
    sections = [section(str(each["text"])) for each in posts[:MOST_SECTIONS]]
    last: list[dict[str, Any]] = posts[-1].get("blocks") or []
    foot = [block for block in last if block["type"] != "section"]
    return {"text": text, "blocks": [*sections, *foot]}


def render_sentence(sentence: str, names: Mapping[str, str]) -> Post:
    """One plain sentence under the bot's own name. It names people without calling them."""
    return {"text": mrkdwn.defuse(mrkdwn.to_plain(sentence, names))[:PART_LIMIT]}


def with_mentions(text: str) -> str:
    """Harmless text in which ``<@U…>`` is live again: for people who have to do with it."""
    return _ESCAPED_MENTION.sub(r"<@\1>", mrkdwn.defuse(text))


def section(text: str) -> dict[str, Any]:
    """A block of mrkdwn."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def context(text: str) -> dict[str, Any]:
    """A small line."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}


def metadata(request_id: str, part: int) -> dict[str, Any]:
    """The mark by which we recognise a post as ours: ids only, any app may read it."""
    return {"event_type": METADATA_TYPE, "event_payload": {"request_id": request_id, "part": part}}


def is_marked(message: Mapping[str, Any], *, request_id: str, part: int, app_id: str, bot_id: str) -> bool:
    """Is this the post we look for? Any app may write any metadata, so it must be ours too."""
    mark = _object(message.get("metadata"))
    payload = _object(mark.get("event_payload"))
    ours = message.get("bot_id") == bot_id if bot_id else message.get("app_id") == app_id
    same = payload.get("request_id") == request_id and payload.get("part") == part
    return ours and mark.get("event_type") == METADATA_TYPE and same


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
