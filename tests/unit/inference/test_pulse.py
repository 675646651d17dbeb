"""The engine's pulse: an answer proves that it lives, silence makes the replica not ready, and then ends it."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from services.inference.adapters.engine import EngineDied
from services.inference.app import ENGINE_DIED, HANGS, Pulse

EVERY_S = 30.0


@dataclass
class Looked:
    """A lifecycle that pauses so many times."""

    pauses: int = 1
    is_stopping: bool = False
    codes: list[int] = field(default_factory=list)

    async def pause(self, _: float) -> bool:
        self.pauses -= 1
        return self.pauses < 0

    def stop(self, code: int) -> None:
        self.codes.append(code)
        self.is_stopping = True


@dataclass
class Patient:
    """An engine that answers a probe, or fails it as told."""

    failure: Exception | None = None
    silent_s: float = EVERY_S
    is_dead: bool = False
    probes: int = 0

    async def probe(self) -> None:
        self.probes += 1
        if self.failure is not None:
            raise self.failure


def pulse_of(lifecycle: Looked, engine: Patient) -> Pulse:
    return Pulse(cast("Any", lifecycle), cast("Any", engine), EVERY_S)


async def test_a_silent_engine_makes_the_replica_not_ready_and_an_answer_ready_again() -> None:
    lifecycle, engine = Looked(), Patient(failure=TimeoutError())
    pulse = pulse_of(lifecycle, engine)
    await pulse.probe()
    with pytest.raises(EngineDied):
        await pulse.check()
    assert not lifecycle.codes
    engine.failure = None
    await pulse.probe()
    await pulse.check()


async def test_an_engine_that_stays_silent_ends_the_process_for_a_fresh_one() -> None:
    lifecycle, engine = Looked(), Patient(failure=TimeoutError())
    pulse = pulse_of(lifecycle, engine)
    for _ in range(HANGS):
        await pulse.probe()
    assert lifecycle.codes == [ENGINE_DIED]


async def test_a_dead_engine_ends_the_process_at_once_and_once() -> None:
    lifecycle, engine = Looked(pauses=2), Patient(failure=EngineDied(), is_dead=True)
    pulse = pulse_of(lifecycle, engine)
    await pulse.feel()
    await pulse.probe()
    assert lifecycle.codes == [ENGINE_DIED]


async def test_an_engine_that_has_just_spoken_is_not_asked() -> None:
    busy, idle = Patient(silent_s=EVERY_S / 2), Patient()
    for engine in (busy, idle):
        await pulse_of(Looked(pauses=3), engine).keep_probing()
    assert (busy.probes, idle.probes) == (0, 3)
