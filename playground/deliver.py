"""Sends events, commands and button presses to the gateways: signed, with Slack's retries."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

import aiohttp

from playground.box import Box
from playground.delivery import Attempt, Delivery, signature_under
from playground.events import envelope, events_of
from playground.signing import Signature, signed_headers
from playground.state import Change
from playground.tasks import Tasks

# After the first try: at once, after a minute, after five (scaled by settings).
RETRY_DELAYS_S = (0.0, 60.0, 300.0)
EVENTS_KEPT = 10_000
_ANSWER_KEPT = 4_000
Path = Literal["events", "commands", "interactivity"]


class Sockets(Protocol):
    """Socket Mode connections; see sockets.py."""

    def __len__(self) -> int: ...

    async def send(
        self, kind: str, payload: dict[str, Any], retry: int, reason: str, timeout_s: float
    ) -> Any:
        """Send one envelope over one socket; the ack's payload. Raises TimeoutError, ConnectionError."""
        ...


class Deliverer:
    """Owns every delivery until it is accepted or given up."""

    def __init__(self, box: Box, tasks: Tasks, session: aiohttp.ClientSession, sockets: Sockets) -> None:
        self._box = box
        self._tasks = tasks
        self._session = session
        self._sockets = sockets
        self._next_gateway = 0
        self._pending = 0
        self._sent = asyncio.Condition()
        self._sent_count = 0
        self.deliveries: OrderedDict[str, Delivery] = OrderedDict()
        self.attempt_count = 0
        self.accepted_count = 0
        self.failed_count = 0

    @property
    def pending(self) -> int:
        """Deliveries under way, waiting retries included."""
        return self._pending

    def observe(self, change: Change) -> list[str]:
        """Send what this change makes; the event ids."""
        return [self.send_event(event) for event in events_of(self._box, change)]

    def observer(self, team_id: str) -> Callable[[Change], None]:
        """The same for a further workspace, where the app is installed."""

        def observe(change: Change) -> None:
            if self._box.has_app(team_id):
                box = self._box.at(team_id)
                for event in events_of(box, change):
                    self.send_event(event, box)

        return observe

    def send_event(self, event: dict[str, Any], box: Box | None = None) -> str:
        """Start the delivery of one event in the background; its id. `box`: as seen from its workspace."""
        # A copy: the message may be edited before the bytes leave.
        delivery = Delivery(json.loads(json.dumps(envelope(box or self._box, event))))
        event_id: str = delivery.envelope["event_id"]
        self.deliveries[event_id] = delivery
        while len(self.deliveries) > EVENTS_KEPT:
            self.deliveries.popitem(last=False)
        self._pending += 1
        self._tasks.spawn(self._deliver_with_faults(delivery), name=f"deliver {event_id}")
        return event_id

    def newest_about(self, channel_id: str, ts: str) -> list[str]:
        """Ids of the events that the newest change made, where it was this message."""
        found: list[str] = []
        for event_id, delivery in reversed(self.deliveries.items()):
            event = delivery.envelope["event"]
            if (event.get("channel"), event.get("ts")) != (channel_id, ts):
                break
            found.insert(0, event_id)
        return found

    async def _deliver_with_faults(self, delivery: Delivery) -> None:
        try:
            fault = self._box.faults.take("events")
            kind = None if fault is None else fault.kind
            if fault is None or kind in ("unsigned", "bad_signature"):
                await self._deliver(delivery, signature_under(fault))
            elif kind == "drop":
                delivery.settled = "dropped"
            elif kind == "duplicate":
                async with asyncio.TaskGroup() as group:
                    for _ in range(fault.times):
                        group.create_task(self._deliver(delivery, "good"))
            elif kind == "reorder":
                await self._wait_for_another(2.0 if fault.delay_s is None else fault.delay_s)
                await self._deliver(delivery, "good")
            else:
                await asyncio.sleep(5.0 if fault.delay_s is None else fault.delay_s)
                await self._deliver(delivery, "good")
        finally:
            self._pending -= 1
            async with self._sent:
                self._sent.notify_all()

    async def _wait_for_another(self, timeout_s: float) -> None:
        seen = self._sent_count
        try:
            async with asyncio.timeout(timeout_s), self._sent:
                await self._sent.wait_for(lambda: self._sent_count > seen)
        except TimeoutError:
            return  # nothing else came: no order to change

    async def _deliver(self, delivery: Delivery, signature: Signature) -> None:
        reason = ""
        for retry_num, delay in enumerate((0.0, *RETRY_DELAYS_S)):
            if delay > 0:
                await asyncio.sleep(delay * self._box.settings.retry_scale)
            attempt = await self._try(delivery, retry_num, reason, signature)
            if attempt.accepted:
                delivery.settled = "accepted"
                self.accepted_count += 1
                return
            if attempt.no_retry:
                break
            reason = attempt.error or "unknown_error"
        delivery.settled = delivery.settled or "failed"
        self.failed_count += 1

    async def _try(self, delivery: Delivery, retry_num: int, reason: str, signature: Signature) -> Attempt:
        if self._over_socket():
            attempt = await self._through_socket("events_api", delivery.envelope, retry_num, reason)
        else:
            body = json.dumps(delivery.envelope, ensure_ascii=False).encode()
            headers = (
                {"X-Slack-Retry-Num": str(retry_num), "X-Slack-Retry-Reason": reason} if retry_num else {}
            )
            attempt = await self.post(
                "events", body, "application/json", headers, signature, retry_num=retry_num
            )
        delivery.attempts.append(attempt)
        async with self._sent:
            self._sent_count += 1
            self._sent.notify_all()
        return attempt

    async def redeliver(
        self, delivery: Delivery, times: int, gateway: str | None, *, concurrent: bool
    ) -> list[Attempt]:
        """The same envelope again, without retries."""
        body = json.dumps(delivery.envelope, ensure_ascii=False).encode()
        headers = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}

        async def once() -> Attempt:
            attempt = await self.post(
                "events", body, "application/json", headers, "good", gateway, retry_num=1
            )
            delivery.attempts.append(attempt)
            return attempt

        if not concurrent:
            return [await once() for _ in range(times)]
        async with asyncio.TaskGroup() as group:
            started = [group.create_task(once()) for _ in range(times)]
        return [task.result() for task in started]

    async def send_form(self, path: Literal["commands", "interactivity"], fields: dict[str, str]) -> Attempt:
        """Send a command or a button press: once, Slack never repeats these. The answer is in `body`."""
        fault = self._box.faults.take(path)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(5.0 if fault.delay_s is None else fault.delay_s)
        self._pending += 1
        try:
            if self._over_socket():
                kind = "slash_commands" if path == "commands" else "interactive"
                payload: dict[str, Any] = (
                    dict(fields) if path == "commands" else json.loads(fields["payload"])
                )
                return await self._through_socket(kind, payload, 0, "")
            body = urlencode(fields).encode()
            return await self.post(
                path, body, "application/x-www-form-urlencoded", {}, signature_under(fault)
            )
        finally:
            self._pending -= 1
            async with self._sent:
                self._sent.notify_all()

    async def post(
        self,
        path: str,
        body: bytes,
        content_type: str,
        headers: dict[str, str],
        signature: Signature,
        gateway: str | None = None,
        *,
        retry_num: int = 0,
    ) -> Attempt:
        """One POST to one gateway (`path` may also be absolute, "/slack/…"), signed as asked."""
        target = gateway or self._gateway()
        secret = self._box.settings.signing_secret.get_secret_value()
        signed = signed_headers(secret, body, now=int(time.time()), kind=signature)
        address = f"{target}{path}" if path.startswith("/") else f"{target}/slack/{path}"
        started, status, error, answer, no_retry = time.monotonic(), None, None, "", False
        try:
            async with self._session.post(
                address,
                data=body,
                headers={"Content-Type": content_type, "User-Agent": "Slackbot 1.0 (playground)"}
                | signed
                | headers,
                timeout=aiohttp.ClientTimeout(total=self._box.settings.delivery_timeout_s),
                allow_redirects=False,
            ) as response:
                status = response.status
                answer = (await response.content.read(_ANSWER_KEPT)).decode("utf-8", "replace")
                no_retry = response.headers.get("X-Slack-No-Retry") == "1"
                error = None if 200 <= status < 300 else "http_error"
        except TimeoutError:
            error = "http_timeout"
        except aiohttp.ClientError:
            error = "connection_failed"
        attempt = Attempt(
            time.time(),
            target,
            status,
            error,
            retry_num,
            round(time.monotonic() - started, 4),
            answer,
            no_retry,
        )
        self._note(path, body, headers, attempt)
        return attempt

    def _over_socket(self) -> bool:
        mode = self._box.settings.socket_mode
        return mode == "only" or (mode == "auto" and len(self._sockets) > 0)

    async def _through_socket(
        self, kind: str, payload: dict[str, Any], retry_num: int, reason: str
    ) -> Attempt:
        started, status, error, answer = time.monotonic(), None, None, ""
        timeout_s = self._box.settings.delivery_timeout_s
        try:
            ack = await self._sockets.send(kind, payload, retry_num, reason, timeout_s)
            status, answer = 200, json.dumps(ack) if ack else ""
        except TimeoutError:
            error = "timeout"
        except ConnectionError:
            error = "connection_failed"
        attempt = Attempt(time.time(), "socket", status, error, retry_num, time.monotonic() - started, answer)
        self._note(kind, json.dumps(payload).encode(), {}, attempt)
        return attempt

    def _gateway(self) -> str:
        urls = self._box.gateway_urls
        if not urls:
            return "http://127.0.0.1:9"  # discard: refused at once
        self._next_gateway += 1
        return urls[(self._next_gateway - 1) % len(urls)]

    def _note(self, name: str, body: bytes, headers: dict[str, str], attempt: Attempt) -> None:
        self.attempt_count += 1
        request = {"gateway": attempt.gateway, "headers": headers, "body": body.decode("utf-8", "replace")}
        response = {"body": attempt.body, "error": attempt.error}
        self._box.journal.add(
            "out", name, status=attempt.status, seconds=attempt.seconds, request=request, response=response
        )
        shown = {"name": name, "gateway": attempt.gateway, "status": attempt.status, "error": attempt.error}
        self._box.hub.publish(
            "delivery", shown | {"retry_num": attempt.retry_num, "seconds": attempt.seconds}
        )

    async def drained(self, timeout_s: float) -> bool:
        """Wait until nothing is under way; False at the deadline."""
        try:
            async with asyncio.timeout(timeout_s), self._sent:
                await self._sent.wait_for(lambda: self._pending == 0)
        except TimeoutError:
            return False
        return True
