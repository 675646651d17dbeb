"""What a worker process of an import says to its parent, one JSON object a line."""

from typing import Final

import msgspec

from services.scraper.adapters.channel_job import Done


class Heard(msgspec.Struct, frozen=True, tag=True):
    """So much was read since the last time."""

    messages: int
    count_bytes: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The export can't be read: the rest of a sentence."""

    reason: str


Reply = Heard | Refused | Done
parse_reply: Final = msgspec.json.Decoder(Reply).decode
