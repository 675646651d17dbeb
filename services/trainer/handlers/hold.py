"""Hold a run from its first moment to the writing of its end: renewed, and stopped for every reason there is."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from typing import Final

from proto.errors import Cancelled, TransientError
from services.trainer.adapters.child import Child
from services.trainer.adapters.lease import Watcher, kept
from services.trainer.core.run import Run
from services.trainer.handlers.news import tell_the_queue
from services.trainer.handlers.options import Tools

RENEWS_PER_LEASE: Final = 3


class GivenBack(TransientError):
    """This process is about to end: another worker goes on."""

    def __init__(self) -> None:
        super().__init__("This training goes on elsewhere.", delay_s=0.1)


def until_cancelled(cancelled: asyncio.Event) -> Watcher:
    """Somebody wants it to stop."""

    async def obey() -> None:
        await cancelled.wait()
        raise Cancelled

    return obey


def until_stopped(tools: Tools) -> Watcher:
    """SIGTERM, while nothing is there yet that could be kept."""

    async def obey() -> None:
        await tools.stopping()
        raise GivenBack

    return obey


@dataclass
class Hold:
    """One holder's hand on one run."""

    tools: Tools
    run: Run
    fence: int
    cancelled: asyncio.Event
    _child: Child | None = None
    _is_trained: bool = False

    @property
    def silence_s(self) -> float:
        """After so long without a beat the child waits: the lease may be somebody else's."""
        return self.tools.options.lease_ttl_s * 2 / RENEWS_PER_LEASE

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Renew while the block runs. Raises LeaseLost, NoConsent, Cancelled, and GivenBack before there is a child."""
        watchers = (until_cancelled(self.cancelled), self._obey_stop, self._tell)
        every_s = self.tools.options.lease_ttl_s / RENEWS_PER_LEASE
        async with kept(self._renew, every_s=every_s, watchers=watchers):
            yield

    @contextlib.contextmanager
    def training(self, child: Child) -> Generator[None]:
        """While the block runs, the child hears that the run is ours, and of SIGTERM."""
        self._child = child
        try:
            yield
        finally:
            self._child, self._is_trained = None, True

    async def _renew(self) -> None:
        await self.tools.runs.renew(self.run, self.fence)
        if self._child is not None:
            self._child.beat()

    async def _obey_stop(self) -> None:
        await self.tools.stopping()
        if self._child is not None:
            self._child.terminate()  # it writes a checkpoint first
        elif not self._is_trained:  # what is left after it takes seconds: it is finished
            raise GivenBack

    async def _tell(self) -> None:
        await tell_the_queue(self.tools.bus, self.tools.queue, every_s=self.tools.options.queue_poll_s)
