"""What a synthetic workspace is made of, before it lives."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Message = dict[str, Any]
User = dict[str, Any]
ChannelKind = Literal["public", "private", "im"]

BOT_USER_ID = "U0DOPPEL"
BOT_ID = "B0DOPPEL"
_PICTURES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif"}


@dataclass
class SeedChannel:
    """A channel and its messages, each in Slack's shape without thread counters: listed, or made by `source`."""

    id: str
    name: str
    kind: ChannelKind
    created: int
    creator: str
    members: list[str]
    topic: str = ""
    purpose: str = ""
    is_general: bool = False
    messages: list[Message] = field(default_factory=list[Message])
    source: Callable[[], Iterator[Message]] | None = field(default=None, repr=False)  # makes them when asked


@dataclass
class SeedWorkspace:
    """A whole workspace as data: made from a seed, or loaded from anywhere else."""

    team_id: str
    team_name: str
    domain: str
    users: list[User]
    channels: list[SeedChannel]
    bots: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass
class Stream:
    """A message that is being streamed."""

    at: float  # of its last piece, by the monotonic clock
    stopped_by_user: bool = False

    def is_live(self, life_s: float) -> bool:
        """Whether it still takes pieces."""
        return time.monotonic() - self.at <= life_s


@dataclass
class StoredFile:
    """A file on its way, or shared."""

    id: str
    name: str
    length: int
    alt_text: str
    created: int = field(default_factory=lambda: int(time.time()))
    data: bytes | None = field(default=None, repr=False)
    title: str = ""
    shares: list[tuple[str, str, str | None]] = field(default_factory=list[tuple[str, str, str | None]])

    @property
    def kind(self) -> str:
        """What the first bytes say it is; "binary" for all that the page does not show."""
        start = (self.data or b"")[:4]
        return next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), "binary")
