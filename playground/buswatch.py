"""The bus, as the page's panel shows it: subject, ids, size, progress. Message text never passes.

A plain core subscription: it sees what is published and takes nothing from anybody.
"""

import json
import logging
from typing import Any, cast

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from doppel.bus.access import WATCHED, WATCHER, inbox_of
from playground.hub import Hub

log = logging.getLogger(__name__)

_IDS = ("request_id", "run_id", "event_id", "scrape_id", "dataset_id")
_NUMBERS = ("step", "total", "train_loss", "validation_loss", "eta_s", "seq")
_CODES = ("stage", "state", "action", "outcome", "code")
# Larger bodies are only measured: nothing there that the panel shows is worth the parsing.
_PARSE_LIMIT_BYTES = 64 * 1024
_LENGTH = 64


def glimpse(subject: str, body: bytes) -> dict[str, Any]:
    """What may be shown of a message."""
    shown: dict[str, Any] = {"subject": subject[:200], "bytes": len(body)}
    if len(body) > _PARSE_LIMIT_BYTES:
        return shown
    try:
        parsed: Any = json.loads(body)
    except (ValueError, RecursionError):
        return shown
    if not isinstance(parsed, dict):
        return shown
    fields = cast("dict[str, Any]", parsed)
    nested = [value for key in ("payload", "error") if isinstance(value := fields.get(key), dict)]
    for source in (fields, *nested):
        for name in _IDS + _CODES:
            value = source.get(name)
            if isinstance(value, str) and name not in shown and value.isprintable():
                shown[name] = value[:_LENGTH]
        for name in _NUMBERS:
            value = source.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and name not in shown:
                shown[name] = value
    return shown


class BusWatch:
    """Watches the bus for ever; the page works without."""

    def __init__(
        self, hub: Hub, url: str | None, user: str | None = None, password: str | None = None
    ) -> None:
        self._hub = hub
        self._url = url
        self._login = {} if user is None else {"user": user, "password": password}
        self._client: Client | None = None
        self._count = 0

    def stats(self) -> dict[str, Any]:
        """Whether there is a bus, and what passed."""
        connected = self._client is not None and self._client.is_connected
        return {"configured": self._url is not None, "connected": connected, "messages": self._count}

    async def run(self) -> None:
        """Connect (for ever), subscribe, forward. Ends at once where no bus is configured."""
        if self._url is None:
            return

        async def on_error(error: Exception) -> None:
            log.debug("bus watch", extra={"error": type(error).__name__})

        async def on_change() -> None:
            self._hub.publish("bus_state", self.stats())

        # -1: also the first connect waits until the server comes
        self._client = await nats.connect(
            self._url,
            name=WATCHER,
            inbox_prefix=inbox_of(WATCHER),
            **self._login,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=2,
            error_cb=on_error,
            disconnected_cb=on_change,
            reconnected_cb=on_change,
        )
        for subject in WATCHED:
            await self._client.subscribe(subject, cb=self._on_message)
        await on_change()

    async def _on_message(self, message: Msg) -> None:
        self._count += 1
        self._hub.publish("bus", glimpse(message.subject, message.data))

    async def close(self) -> None:
        """Leave the bus."""
        if self._client is not None and not self._client.is_closed:
            await self._client.close()
