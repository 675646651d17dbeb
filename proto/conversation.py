"""What people said: one normal form of a message, the turns of a prompt, a sample of a dataset."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import Field

from proto.body import Body, ChannelId, Ts, UserId


class Turn(Body):
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str = Field(repr=False, max_length=40_000)


class WordsOf(StrEnum):
    """Whose words a message holds; only a person's own are ever trained on."""

    PERSON = "person"
    APP = "app"
    UNKNOWN = "unknown"


class Message(Body):
    """One message of a corpus, whatever the source. `text` is plain: mentions resolved, unescaped once."""

    channel_id: ChannelId
    ts: Ts
    thread_ts: Ts | None = None
    user_id: UserId | None = Field(default=None, description="Absent for apps and unknown authors.")
    words_of: WordsOf = WordsOf.PERSON
    text: str = Field(repr=False)
    subtype: str | None = None
    edited: bool = False


class Person(Body):
    """One entry of a corpus's user directory. The key is the id; names collide and change."""

    user_id: UserId
    handle: str = Field(default="", repr=False)
    display_name: str = Field(default="", repr=False)
    is_bot: bool = False
    is_guest: bool = False
    is_external: bool = False
    is_deleted: bool = False

    @property
    def name(self) -> str:
        """What to call them."""
        return self.display_name or self.handle or "someone"

    @property
    def may_be_persona(self) -> bool:
        """Full, living members only."""
        return not (
            self.is_bot or self.is_guest or self.is_external or self.is_deleted or self.user_id == "USLACKBOT"
        )


class Sample(Body):
    """One training sample: the conversation so far, then what the persona answered."""

    turns: tuple[Turn, ...] = Field(
        description="Context, oldest first, without the system turn; ends with a user turn."
    )
    response: str = Field(
        repr=False,
        description="The persona's own words; the loss is on these only. Messages in a row: a blank line between.",
    )
    channel_id: ChannelId
    ts: Ts = Field(description="Of the answer's first message.")
    thread_ts: Ts | None = Field(default=None, description="Its thread; absent in a channel.")
    conversation: str = Field(
        default="", description="The conversation it was cut from; never in two splits."
    )


PART_BREAK = "\n\n"
"""Between the parts of a response: messages that were written in a row, and are to be sent in a row."""

_FENCE = "```"


def join_parts(parts: Iterable[str]) -> str:
    """Several messages as one response. A blank line means "next message", so one inside a message becomes a newline.

    A code block that its message leaves open is closed, so that it can't swallow the messages that follow.
    """
    return PART_BREAK.join(part for text in parts if (part := _as_part(text)))


def split_parts(response: str) -> tuple[str, ...]:
    """The messages of a response, never cut inside a code block. Gives back what `join_parts` joined."""
    parts: list[list[str]] = [[]]
    in_code = False
    for line in _lines(response):
        if not in_code and not line.strip():
            parts.append([])
            continue
        parts[-1].append(line)
        in_code ^= line.count(_FENCE) % 2 == 1
    return tuple(part for lines in parts if (part := "\n".join(lines).strip()))


def _as_part(text: str) -> str:
    part = "\n".join(line for line in _lines(text) if line.strip()).strip()
    # Counted line by line, as `split_parts` does: three marks that a line break tears apart are no fence.
    is_open = sum(line.count(_FENCE) for line in part.split("\n")) % 2 == 1
    return f"{part}\n{_FENCE}" if is_open else part


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


TURN_LIMIT = 40_000
SPEAKER_LIMIT = 80
UNKNOWN_SPEAKER = "someone"
APP_SPEAKER = "app"


def render_turns(
    messages: Sequence[Message], persona_user_id: str | None, names: Mapping[str, str]
) -> tuple[Turn, ...]:
    """A conversation, oldest first, as the persona sees it. Datasets and mentions are both rendered here.

    The persona's own words become assistant turns, bare. Everybody else's become user turns, each message as
    ``<display name>: <text>``; a mention of the persona that opens it is left out, since who is asked is said by
    the prompt already. Neighbours of one role become one turn: others' joined by a newline, the persona's own as
    `join_parts` does, so that several messages in a row stay several. `names`: user id → display name; who is
    missing there is "someone", an app is "app". Messages without text leave no trace.
    """
    own_name = _speaker(names.get(persona_user_id or ""))
    turns: list[tuple[Literal["user", "assistant"], list[str]]] = []
    for message in messages:
        own = message.user_id == persona_user_id and message.words_of == WordsOf.PERSON
        own = own and persona_user_id is not None
        text = message.text.strip()
        if not own:
            text = _without_opening_mention(text, own_name)
        if not text:
            continue
        role: Literal["user", "assistant"] = "assistant" if own else "user"
        line = text if own else f"{_speaker_of(message, names)}: {text}"
        if turns and turns[-1][0] == role:
            turns[-1][1].append(line)
        else:
            turns.append((role, [line]))
    return tuple(
        Turn(
            role=role, content=(join_parts(lines) if role == "assistant" else "\n".join(lines))[-TURN_LIMIT:]
        )
        for role, lines in turns
    )


def _speaker_of(message: Message, names: Mapping[str, str]) -> str:
    if message.words_of == WordsOf.APP:
        return APP_SPEAKER
    return _speaker(names.get(message.user_id or "")) or UNKNOWN_SPEAKER


def _speaker(name: str | None) -> str:
    """On one line and not endless: a display name is typed by its owner."""
    return " ".join((name or "").split())[:SPEAKER_LIMIT]


def _without_opening_mention(text: str, own_name: str) -> str:
    mention = f"@{own_name}"
    if not own_name or not text.startswith(mention) or text[len(mention) : len(mention) + 1].isalnum():
        return text
    return text[len(mention) :].lstrip(" \t,:;-\u2013\u2014") or text
