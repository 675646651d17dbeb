"""What a synthetic workspace is made of, before it lives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Message = dict[str, Any]
User = dict[str, Any]
ChannelKind = Literal["public", "private", "im"]

BOT_USER_ID = "U0DOPPEL"
BOT_ID = "B0DOPPEL"


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
