"""Socket Mode: Slack's deliveries over sockets that we open, for a gateway without a public address.

slack-sdk's client closes its socket before it opens the next and tries a dead ticket for ever; here the next one says
hello before the last one goes, each try has a fresh ticket, and an envelope is acked only once JetStream has it.
"""

import asyncio
import json
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import aiohttp
from prometheus_client import CollectorRegistry, Gauge
from pydantic import SecretStr

from doppel.lifecycle import Lifecycle
from doppel.slack.client import SlackAway, SlackConnection, SlackRefused, SlackUnknown, sorted_errors
from services.gateway.adapters.reception import Reception
from services.gateway.core import intake

log = logging.getLogger(__name__)

HELLO_S: Final = 10.0
PING_S: Final = 10.0  # a frozen peer is noticed after one and a half of these
LINGER_S: Final = 5.0  # what Slack sent to the last socket before it knew of the next one
CLOSE_S: Final = 2.0
SEND_S: Final = 2.0
AT_ONCE: Final = 64  # of one socket; more are left to Slack, which sends them again
SHORT_LIFE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 30.0
FRAME_BYTES: Final = 4 * 1024 * 1024
_SLOWLY: Final = frozenset(("link_disabled", "too_many_websockets"))


class Unusable(Exception):
    """This socket never said hello."""


@dataclass(eq=False)
class Socket:
    """One live socket."""

    ws: aiohttp.ClientWebSocketResponse
    reason: str = ""  # why it goes
    leaving: asyncio.Event = field(default_factory=asyncio.Event)  # the next one is needed
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0


class SocketMode:
    """Keeps `count` sockets open, each of them a line of sockets that overlap."""

    def __init__(
        self,
        slack: SlackConnection,
        session: aiohttp.ClientSession,
        reception: Reception,
        registry: CollectorRegistry,
        *,
        app_token: SecretStr,
        count: int,
    ) -> None:
        self._slack = slack
        self._session = session
        self._reception = reception
        self._token = app_token
        self._count = count
        self._open: list[Socket] = []
        gauge = Gauge("doppel_slack_sockets", "Socket Mode connections that said hello.", registry=registry)
        gauge.set_function(lambda: len(self._open))

    @property
    def is_connected(self) -> bool:
        """Can Slack reach us?"""
        return bool(self._open)

    async def run(self, lifecycle: Lifecycle) -> None:
        """Until SIGTERM. What was taken by then is acked; what was not, Slack sends to another replica."""
        async with asyncio.TaskGroup() as lines:
            for _ in range(self._count):
                lines.create_task(self._line(lifecycle), name="socket line")
            await lifecycle.stopping()
            for socket in self._open:
                socket.leaving.set()

    async def _line(self, lifecycle: Lifecycle) -> None:
        """One socket after the other; the last one goes only when the next one is up."""
        last: Socket | None = None
        failures = short_lives = 0
        async with asyncio.TaskGroup() as readers:
            while not lifecycle.is_stopping:
                if failures and await lifecycle.pause(_pause_s(failures, last)):
                    break
                try:
                    ws = await self._connect()
                except (SlackRefused, SlackAway, SlackUnknown, Unusable) as error:
                    failures += 1
                    self._say(failures, getattr(error, "reason", type(error).__name__))
                    continue
                socket = Socket(ws)
                self._open.append(socket)
                readers.create_task(self._read(socket), name="socket")
                if last is not None:
                    readers.create_task(self._retire(last, LINGER_S), name="socket retires")
                log.info("socket open", extra={"sockets": len(self._open)})
                last, since = socket, _now()
                if not lifecycle.is_stopping:
                    await socket.leaving.wait()  # for hours; set at SIGTERM too
                is_short = _now() - since < SHORT_LIFE_S or socket.reason in _SLOWLY
                short_lives = short_lives + 1 if is_short else 0
                failures = max(0, short_lives - 1)  # one may be chance: no gap for that
            if last is not None:
                await self._retire(last, 0.0)

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        """A socket that said hello; each try with a ticket of its own. Raises SlackRefused, SlackAway, SlackUnknown,
        Unusable.
        """
        token = self._token.get_secret_value()
        with sorted_errors():
            answer = await self._slack.client(token).apps_connections_open(app_token=token)
        url = str(cast("dict[str, Any]", answer.data).get("url") or "")
        try:
            async with asyncio.timeout(HELLO_S):
                ws = await self._session.ws_connect(
                    url,
                    heartbeat=PING_S,
                    max_msg_size=FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),  # pyright: ignore[reportCallIssue]
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unusable("no handshake") from error
        try:
            async with asyncio.timeout(HELLO_S):
                hello = _frame_of(await ws.receive())
        except TimeoutError:
            hello = {}
        if hello.get("type") != "hello":
            await ws.close()
            raise Unusable("no hello")
        return ws

    async def _read(self, socket: Socket) -> None:
        """Take what comes until the socket ends; then the next one is needed, if it was not asked for before."""
        try:
            async with asyncio.TaskGroup() as taking:
                async for message in socket.ws:
                    frame = _frame_of(message)
                    if frame.get("type") == "disconnect":
                        socket.reason = str(frame.get("reason"))[:40]
                        log.info("Slack ends a socket", extra={"reason": socket.reason})
                        socket.leaving.set()
                    elif frame.get("envelope_id") and socket.under_way < AT_ONCE:
                        taking.create_task(self._take(socket, frame), name="envelope")
                self._open.remove(socket)
                socket.leaving.set()
        finally:
            socket.closed.set()

    async def _retire(self, socket: Socket, linger_s: float) -> None:
        """Close it once nothing more can come on it."""
        try:
            async with asyncio.timeout(linger_s):
                await socket.closed.wait()
        except TimeoutError:
            try:
                async with asyncio.timeout(CLOSE_S):
                    while socket.under_way:  # noqa: ASYNC110  a count of tasks, not of ours to signal
                        await asyncio.sleep(0.01)
            except TimeoutError:
                log.warning("a socket closes with envelopes under way", extra={"count": socket.under_way})
            await socket.ws.close()

    async def _take(self, socket: Socket, frame: dict[str, Any]) -> None:
        with _counted(socket):
            kind = str(frame.get("type"))
            try:
                is_taken, answer = await self._receive(kind, frame.get("payload"))
            except intake.NotUnderstood:
                self._reception.count(f"socket_{kind}"[:40], 400)
                return
            self._reception.count(f"socket_{kind}", 200 if is_taken else 503)
            if not is_taken:
                return  # no ack: Slack sends it again
            ack: dict[str, Any] = {"envelope_id": str(frame["envelope_id"])}
            if answer is not None and frame.get("accepts_response_payload"):
                ack["payload"] = answer
            await self._ack(socket, ack)

    async def _receive(self, kind: str, payload: object) -> tuple[bool, dict[str, Any] | None]:
        """Has it been taken, and what Slack is to do or show at once. Raises NotUnderstood."""
        if not isinstance(payload, dict):
            raise intake.NotUnderstood("no payload")
        body = cast("dict[str, Any]", payload)
        if kind == "events_api":
            return await self._reception.event(body), None
        if kind == "slash_commands":
            fields = {name: value for name, value in body.items() if isinstance(value, str)}
            return True, await self._reception.command(fields)
        if kind == "interactive":
            return True, await self._reception.interaction(body)
        raise intake.NotUnderstood("unknown type")

    async def _ack(self, socket: Socket, ack: dict[str, Any]) -> None:
        """On the socket it came by; where that is gone, on another: acks are the app's, not the socket's."""
        text = json.dumps(ack)
        for each in (socket, *(other for other in self._open if other is not socket)):
            try:
                async with asyncio.timeout(SEND_S):
                    await each.ws.send_str(text)
            except (aiohttp.ClientError, OSError, TimeoutError, RuntimeError):
                continue
            return
        log.warning("not acked: no socket is open")  # it comes again, and is known by its id

    @staticmethod
    def _say(failures: int, why: str) -> None:
        if failures == 1 or failures % 5 == 0:
            log.warning(
                "no socket to Slack; is DOPPEL_SLACK_APP_TOKEN an xapp- token with connections:write?",
                extra={"why": why, "tries": failures},
            )


def _frame_of(message: aiohttp.WSMessage) -> dict[str, Any]:
    """A frame's object; anything else is nothing."""
    if message.type is not aiohttp.WSMsgType.TEXT:
        return {}
    try:
        found = json.loads(message.data)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _pause_s(failures: int, last: Socket | None) -> float:
    """How long to wait before the next try; longer where Slack wants fewer sockets."""
    if last is not None and last.reason in _SLOWLY:
        return LONGEST_PAUSE_S
    return random.uniform(0.2, min(LONGEST_PAUSE_S, 0.5 * 2**failures))  # noqa: S311  jitter


@contextmanager
def _counted(socket: Socket) -> Iterator[None]:
    socket.under_way += 1
    try:
        yield
    finally:
        socket.under_way -= 1


def _now() -> float:
    return asyncio.get_running_loop().time()
