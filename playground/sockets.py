"""Socket Mode, the server's side: /link, hello, envelopes, acks, disconnect."""

import asyncio
import json
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from playground.box import Box

FRAME_LIMIT_BYTES = 1024 * 1024


@dataclass(eq=False)
class Connection:
    """One live socket."""

    socket: web.WebSocketResponse
    # Real connections get it before the client listens; a payload sent before hello would be lost.
    is_ready: bool = False


@dataclass
class SocketServer:
    """All live sockets of the app; each envelope goes to one of them, in turn."""

    box: Box
    connections: list[Connection] = field(default_factory=list[Connection])
    _acks: dict[str, asyncio.Future[Any]] = field(default_factory=dict[str, asyncio.Future[Any]])
    _turn: int = 0
    counts: deque[int] = field(default_factory=lambda: deque[int](maxlen=1000))  # how many after each change

    def __len__(self) -> int:
        return sum(1 for connection in self.connections if connection.is_ready)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """``/link/?ticket=…``: a ticket opens one socket."""
        if not self.box.use_ticket(request.query.get("ticket", "")):
            return web.Response(status=404, text="ticket is used up or unknown")
        socket = web.WebSocketResponse(max_msg_size=FRAME_LIMIT_BYTES)
        await socket.prepare(request)
        connection = Connection(socket)
        self.connections.append(connection)
        try:
            await socket.send_json(self._hello())
            connection.is_ready = True
            self.counts.append(len(self))
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self._on_text(frame.data)
        finally:
            self.connections.remove(connection)
            self.counts.append(len(self))
        return socket

    def _hello(self) -> dict[str, Any]:
        return {
            "type": "hello",
            "num_connections": len(self.connections),
            "debug_info": {"host": "playground", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": self.box.workspace.app.app_id},
        }

    def _on_text(self, text: str) -> None:
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(frame, dict):
            return
        waiting = self._acks.pop(str(frame.get("envelope_id")), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame.get("payload"))

    async def send(
        self, kind: str, payload: dict[str, Any], retry: int, reason: str, timeout_s: float
    ) -> Any:
        """Send one envelope over one socket and wait for its ack (on whichever socket it comes)."""
        ready = [connection for connection in self.connections if connection.is_ready]
        if not ready:
            raise ConnectionError("no socket is connected")
        self._turn += 1
        connection = ready[self._turn % len(ready)]
        envelope_id = str(uuid.uuid4())
        frame: dict[str, Any] = {
            "envelope_id": envelope_id,
            "payload": payload,
            "type": kind,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            frame |= {"retry_attempt": retry, "retry_reason": reason}
        ack: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._acks[envelope_id] = ack
        try:
            async with asyncio.timeout(timeout_s):
                await connection.socket.send_json(frame)
                return await ack
        finally:
            self._acks.pop(envelope_id, None)

    async def disconnect(self, reason: str, *, close: bool) -> int:
        """Send everybody a disconnect frame; how many got one."""
        connections = list(self.connections)
        for connection in connections:
            frame = {"type": "disconnect", "reason": reason, "debug_info": {"host": "playground"}}
            await connection.socket.send_json(frame)
            if close:
                await connection.socket.close(code=1000)
        return len(connections)
