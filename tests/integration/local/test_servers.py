"""The three real servers under our supervisor."""

import asyncpg
import pytest

from doppel.bus.broker import jetstream_of, open_client
from doppel.storage import Storage
from proto.subjects import STREAMS
from tests.support.servers import TestServers


async def test_every_stream_is_there_and_empty(clean: TestServers) -> None:
    client = await open_client(clean.bus)
    try:
        counts = {s.name: (await jetstream_of(client).stream_info(s.name)).state.messages for s in STREAMS}
    finally:
        await client.close()
    assert counts == dict.fromkeys(counts, 0)


async def test_a_service_may_write_its_own_schema_and_no_other(servers: TestServers) -> None:
    connection = await asyncpg.connect(servers.dsn("trainer"))
    try:
        assert await connection.fetchval("select count(*) from trainer.runs") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("delete from gateway.consents")
    finally:
        await connection.close()


async def test_the_bucket_keeps_what_it_is_given(servers: TestServers, storage: Storage) -> None:
    await storage.put_bytes("workspaces/T1/hello", b"there")
    assert await storage.get_bytes("workspaces/T1/hello") == b"there"
