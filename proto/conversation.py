"""What people said: one normal form of a message, the turns of a prompt, a sample of a dataset."""

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
    response: str = Field(repr=False, description="The persona's own words; the loss is on these only.")
    channel_id: ChannelId
    ts: Ts
