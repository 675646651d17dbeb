"""One line of a corpus as cutting needs it: the few fields, decoded fast, and which words of it may be learnt from."""

from typing import Final

import msgspec

from proto.conversation import Message, WordsOf
from services.scraper.core.words import PERSON

__all__ = ["PERSON", "Said", "decode_line"]


class Said(msgspec.Struct, frozen=True, gc=False):
    """A message of a corpus. The line is a `proto.conversation.Message`; what is not needed here stays in it."""

    channel_id: str
    ts: str
    text: str
    thread_ts: str | None = None
    user_id: str | None = None
    words_of: str = PERSON

    @property
    def at(self) -> float:
        """Unix seconds, for distances between messages only."""
        return float(self.ts)

    @property
    def is_root(self) -> bool:
        """Stands in the channel itself."""
        return self.thread_ts is None or self.thread_ts == self.ts

    @property
    def thread(self) -> str:
        """What its thread is called: its first message."""
        return self.thread_ts or self.ts

    def as_message(self, text: str) -> Message:
        """In the contract's words, with another text."""
        return Message(
            channel_id=self.channel_id,
            ts=self.ts,
            thread_ts=self.thread_ts,
            user_id=self.user_id,
            words_of=WordsOf(self.words_of),
            text=text,
        )


decode_line: Final = msgspec.json.Decoder(Said).decode
