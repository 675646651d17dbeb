"""Failure switches: which request misbehaves next, and how."""

import fnmatch
import itertools
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

METHOD_KINDS = frozenset(
    {
        "ratelimited",
        "status",
        "html",
        "error",
        "slow",
        "reset_before",
        "reset_after",
        "status_after",
        "stale_ticket",
    }
)
SEND_KINDS = frozenset({"duplicate", "reorder", "delay", "drop", "unsigned", "bad_signature"})
SENDS = frozenset({"events", "commands", "interactivity"})
_EXACT = SENDS | {"response_url", "upload"}

Kind = Literal[
    "ratelimited", "status", "html", "error", "slow", "reset_before", "reset_after", "status_after", "stale_ticket",
    "duplicate", "reorder", "delay", "drop", "unsigned", "bad_signature",
]  # fmt: skip


class Fault(BaseModel):
    """One switch; see the table in README.md."""

    model_config = ConfigDict(extra="forbid")

    on: str = Field(min_length=1)
    kind: Kind
    count: int | None = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    retry_after: int | str | None = 1
    status: int = Field(default=503, ge=400, le=599)
    error: str = "internal_error"
    delay_s: float | None = Field(default=None, ge=0, le=600)
    times: int = Field(default=2, ge=1, le=100)
    id: int = 0
    left: int | None = None

    @property
    def is_send(self) -> bool:
        """Whether it concerns what goes out to gateways."""
        return self.on in SENDS


class Faults:
    """The switches that are on, in the order in which they were set."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        """Switch one on. Raises ValueError where kind and place do not go together."""
        if fault.kind not in (SEND_KINDS if fault.is_send else METHOD_KINDS):
            raise ValueError(f"{fault.kind} does not apply to {fault.on}")
        stored = fault.model_copy(update={"id": next(self._ids), "left": fault.count})
        self._faults.append(stored)
        return stored

    def take(self, name: str) -> Fault | None:
        """The fault that the request called `name` meets, counted down; None is the usual case."""
        for fault in self._faults:
            if fault.left == 0 or not (
                name == fault.on if name in _EXACT else fnmatch.fnmatchcase(name, fault.on)
            ):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.left is not None:
                fault.left -= 1
            return fault
        return None

    def clear(self, fault_id: int | None = None) -> None:
        """Switch all off, or one."""
        self._faults = [] if fault_id is None else [fault for fault in self._faults if fault.id != fault_id]

    def listing(self) -> list[dict[str, Any]]:
        """All, the spent ones too."""
        return dumps(self._faults)


def dumps(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    """Faults as JSON."""
    return [fault.model_dump() for fault in faults]
