"""Fan-out of what happens to the pages that watch (server-sent events)."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A page that is this far behind is dropped; its EventSource reconnects and loads the present state.
QUEUE_LIMIT = 2000


class Hub:
    """Publishes small JSON events to any number of watchers, never waiting for one."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[bytes | None]] = set()

    def publish(self, event: str, data: dict[str, Any]) -> None:
        """Hand `data` to every watcher; one that does not keep up is ended."""
        if not self._watchers:
            return
        frame = f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
        for queue in tuple(self._watchers):
            try:
                queue.put_nowait(frame)
            except asyncio.QueueFull:
                self._end(queue)

    def _end(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._watchers.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[bytes | None]]:
        """A queue of frames; None means the end."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_LIMIT)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def close(self) -> None:
        """End every watcher."""
        for queue in tuple(self._watchers):
            self._end(queue)
