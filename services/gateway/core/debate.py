"""A debate: personas answer one another in a thread, so many turns and no more."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from doppel.slack import mrkdwn
from proto.body import derived_id
from proto.conversation import Message, Turn, WordsOf, render_turns
from services.gateway.core.outbox import Key, OutboxRow
from services.gateway.core.reply import Post, context, section, with_mentions
from services.gateway.core.routing import Bot
from services.gateway.core.thread import ASKER_ALIAS, is_ours, label, message_of

STOP: Final = "debate_stop"
TOPIC_LIMIT: Final = 1500
SHOWN_TOPIC: Final = 2500  # characters after escaping: what is shown fits into a section
RAISED_HANDS: Final = frozenset(("hand", "raised_hand"))
_STOP: Final = re.compile(r"\bstop\b", re.IGNORECASE)

Reason = Literal["done", "stopped", "withdrawn", "failed", "not_posted"]


@dataclass(frozen=True)
class Debate:
    """One `/doppel debate`."""

    debate_id: UUID
    api_app_id: str
    team_id: str
    channel: str
    asked_by: str
    speakers: tuple[str, ...]
    topic: str | None  # None: it is over
    turns: int
    turn: int = 0  # whose turn it is: the speakers take them one after the other
    root_ts: str | None = None

    @property
    def speaker(self) -> str:
        """Who speaks now."""
        return self.speakers[self.turn % len(self.speakers)]

    @property
    def root(self) -> Key:
        """The message that opens it."""
        return Key(self.api_app_id, self.channel, f"debate:{self.debate_id}")

    @property
    def end(self) -> Key:
        """The change of that message when it is over."""
        return Key(self.api_app_id, self.channel, f"debate-end:{self.debate_id}")

    @property
    def turn_key(self) -> Key:
        """The answer of this turn."""
        return Key(self.api_app_id, self.channel, f"debate:{self.debate_id}:{self.turn}")

    @property
    def turn_id(self) -> UUID:
        """The question of this turn."""
        return derived_id("debate-turn", str(self.debate_id), str(self.turn))


@dataclass(frozen=True)
class Wait:
    """Something is on its way."""


@dataclass(frozen=True)
class Speak:
    """Whose turn it is says something."""


@dataclass(frozen=True)
class Advance:
    """It was said: the next one."""


@dataclass(frozen=True)
class End:
    """No more of it."""

    reason: Reason


def next_step(
    debate: Debate, root: OutboxRow | None, parts: Sequence[OutboxRow]
) -> Wait | Speak | Advance | End:
    """What happens now. `parts`: the rows of this turn's answer, in order."""
    if root is None or root.state == "failed":
        return End("not_posted")
    if root.state != "sent":
        return Wait()
    if not parts:
        return Speak()
    if any(each.state == "failed" for each in parts):
        return End("failed")
    if any(each.state != "sent" for each in parts):
        return Wait()
    if parts[0].user_id is None:
        return End("failed")  # a plain sentence stands there, and says why
    return End("done") if debate.turn + 1 >= debate.turns else Advance()


def says_stop(text: str) -> bool:
    """A mention that says *stop*, in the thread of a debate."""
    return bool(_STOP.search(text[:TOPIC_LIMIT]))


def turns_of_debate(
    debate: Debate,
    thread: Sequence[Mapping[str, Any]],
    spoken: Mapping[str, str],
    *,
    bot: Bot,
    names: Mapping[str, str],
) -> tuple[Turn, ...]:
    """What the speaker is asked: the topic, and what was said about it. Ends with somebody else's words.

    `spoken`: which persona said which of our messages, by ts. What the person themselves writes there is no answer of
    their persona.
    """
    speaker = debate.speaker
    known = {**names, ASKER_ALIAS: names.get(speaker, "")}

    def alias(user_id: str | None) -> str | None:
        return ASKER_ALIAS if user_id == speaker else user_id

    said = [
        Message(channel_id=debate.channel, ts="0.0", user_id=alias(debate.asked_by), text=debate.topic or "")
    ]
    for raw in thread:
        own = spoken.get(str(raw.get("ts")))
        if own is None and is_ours(raw, bot):
            continue  # what opens it, and sentences of the bot's own
        message = message_of(raw, bot, known, debate.channel)
        if message is not None and message.text:
            who = own or alias(message.user_id)
            words_of = WordsOf.PERSON if own else message.words_of
            said.append(message.model_copy(update={"user_id": who, "words_of": words_of}))
    while said[1:] and said[-1].user_id == speaker:
        said.pop()  # the other's answer is gone
    return render_turns(said, speaker, known)


def render_root(debate: Debate, names: Mapping[str, str]) -> Post:
    """What opens the thread, with the button that stops it."""
    post = _root(debate, names)
    stop = {
        "type": "button",
        "action_id": STOP,
        "value": str(debate.debate_id),
        "text": {"type": "plain_text", "text": "Stop"},
    }
    foot = context(
        f"AI-generated: up to {debate.turns} answers in this thread. It stops by the button, "
        "by a mention of me that says _stop_, or by :hand: on any of its messages."
    )
    return {
        **post,
        "blocks": [*post["blocks"], foot, {"type": "actions", "block_id": "debate", "elements": [stop]}],
    }


def render_end(debate: Debate, names: Mapping[str, str], reason: Reason, by: str | None) -> Post:
    """The same when it is over."""
    post = _root(debate, names)
    said = {
        "done": f"It is over, after {debate.turns} answers.",
        "stopped": f"Stopped by <@{by}>." if by else "Stopped.",
        "withdrawn": "It ends here: one of the two does not answer any more.",
        "failed": "It ends here: an answer could not be given.",
        "not_posted": "It could not begin.",
    }[reason]
    return {**post, "blocks": [*post["blocks"], context(f"AI-generated. {with_mentions(said)}")]}


def _root(debate: Debate, names: Mapping[str, str]) -> Post:
    who = " and ".join(mrkdwn.defuse(label(names.get(each, ""))) for each in debate.speakers)
    topic = next(iter(mrkdwn.split(mrkdwn.defuse(debate.topic or ""), SHOWN_TOPIC)), "")
    text = f"*{who}* debate: {topic}" if topic else f"*{who}* debate"
    return {"text": text, "blocks": [section(text)]}
