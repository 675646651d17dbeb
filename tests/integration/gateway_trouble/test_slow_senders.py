"""Who sends a byte now and then gets no more than some seconds, and keeps nobody else out."""

import asyncio
import contextlib
import json

import pytest

from tests.integration.gateway.rig import Rig
from tests.integration.gateway.test_door import EVENT, signed

MANY = 600  # more than a replica keeps
DRIBBLE_S = 0.4
END_S = 60.0
HEAD = b"POST /slack/events HTTP/1.1\r\nHost: x\r\n"
STARTS = {
    "nothing": (b"", b""),
    "headers": (HEAD, b"X-Slow: y\r\n"),
    "body": (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


async def dribble(port: int, start: bytes, more: bytes, connected: asyncio.Semaphore) -> None:
    """Go on until the door hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(start)
        connected.release()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRIBBLE_S):
                    if not await reader.read(1000):
                        return
            writer.write(more)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()


@pytest.mark.parametrize("what", STARTS)
async def test_who_dribbles_is_let_go_and_keeps_nobody_out(rig: Rig, what: str) -> None:
    start, more = STARTS[what]
    count = MANY if what == "headers" else 60
    connected = asyncio.Semaphore(0)
    async with asyncio.timeout(END_S), asyncio.TaskGroup() as dribblers:
        for _ in range(count):
            dribblers.create_task(dribble(rig.replicas[0].port, start, more, connected))
        for _ in range(count):
            await connected.acquire()
        for number in range(10):
            body = json.dumps(EVENT | {"event_id": f"EvAMONGTHESLOW{what}{number}"}).encode()
            url = f"{rig.replicas[0].url}/slack/events"
            async with rig.workspace.http.post(url, data=body, headers=signed(body)) as answer:
                assert answer.status == 200
