import asyncio
from dataclasses import dataclass, field

import asyncpg
import pytest

from proto.errors import Cancelled, LeaseLost
from services.trainer.adapters.lease import kept

LONG_S = 5.0  # never reached: each block ends by itself or is ended


@dataclass
class Database:
    """Answers renewals from a list, then always well."""

    answers: list[Exception | None] = field(default_factory=list)
    renewals: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def renew(self) -> None:
        self.renewals += 1
        if self.renewals >= 3:
            self.enough.set()
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer


async def test_the_lease_is_renewed_while_the_work_goes_on() -> None:
    database = Database()
    async with asyncio.timeout(LONG_S), kept(database.renew, every_s=0.01, watchers=()):
        await database.enough.wait()


async def test_work_goes_on_while_the_database_is_away() -> None:
    database = Database([ConnectionRefusedError(), asyncpg.CannotConnectNowError()])
    async with asyncio.timeout(LONG_S), kept(database.renew, every_s=0.01, watchers=()):
        await database.enough.wait()


async def test_work_stops_at_once_where_another_worker_took_over() -> None:
    database = Database([None, LeaseLost("run")])
    with pytest.raises(LeaseLost):
        async with kept(database.renew, every_s=0.01, watchers=()):
            await asyncio.sleep(LONG_S)


async def test_a_watcher_ends_the_work_with_its_own_reason() -> None:
    asked = asyncio.Event()

    async def obey() -> None:
        await asked.wait()
        raise Cancelled

    asyncio.get_running_loop().call_soon(asked.set)
    with pytest.raises(Cancelled):
        async with kept(Database().renew, every_s=LONG_S, watchers=(obey,)):
            await asyncio.sleep(LONG_S)


async def test_what_the_work_raises_leaves_as_itself() -> None:
    with pytest.raises(KeyError):
        async with kept(Database().renew, every_s=LONG_S, watchers=()):
            raise KeyError("mine")


async def test_a_cancelled_block_stays_cancelled() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), kept(Database().renew, every_s=LONG_S, watchers=()):
            await asyncio.sleep(LONG_S)
