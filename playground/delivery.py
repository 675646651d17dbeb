"""One event on its way to the gateways, and each try to bring it there."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from playground.faults import Fault
from playground.signing import Signature


@dataclass
class Attempt:
    """One try at one gateway."""

    at: float
    gateway: str
    status: int | None
    error: str | None
    retry_num: int
    seconds: float
    body: str = ""
    no_retry: bool = False

    @property
    def accepted(self) -> bool:
        """2xx in time."""
        return self.status is not None and 200 <= self.status < 300


@dataclass
class Delivery:
    """One event and what became of it."""

    envelope: dict[str, Any]
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    settled: Literal["accepted", "failed", "dropped"] | None = None

    def shown(self) -> dict[str, Any]:
        """As the control API tells it."""
        attempts = [asdict(attempt) for attempt in self.attempts]
        return {
            "event_id": self.envelope["event_id"],
            "envelope": self.envelope,
            "attempts": attempts,
            "settled": self.settled,
        }


def signature_under(fault: Fault | None) -> Signature:
    """How a request is signed while that fault is on."""
    if fault is not None and fault.kind == "unsigned":
        return "missing"
    return "bad" if fault is not None and fault.kind == "bad_signature" else "good"
