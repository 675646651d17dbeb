"""A worker process of an import: ``python -m services.scraper.adapters.export_worker PLAN RUNS``. See `export_pool`.

In, line by line, in JSON: a `Setup`, then one `Job` whenever it has none. Out: `Heard` from time to time, one `Done` or
`Refused` for each job. It ends when its input does, at once: so none is left when its parent was killed.
"""

import gc
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from services.scraper.adapters.channel_job import ChannelReader, Job, Setup
from services.scraper.adapters.export_words import Heard, Refused, Reply
from services.scraper.core.archive import ArchiveRefused

TELL_EVERY_S: Final = 0.2
GARBAGE: Final = 100_000  # objects made before a look for those that refer to each other


def main(plan: Path, runs: Path) -> None:
    """Do jobs until there are no more."""
    gc.set_threshold(GARBAGE)  # nothing that is made by the million refers to itself
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    first = sys.stdin.buffer.readline()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, lines), daemon=True).start()
    teller = _Teller()
    reader = ChannelReader(msgspec.json.decode(first, type=Setup), plan, runs, teller.heard)
    while True:
        job = msgspec.json.decode(lines.get(), type=Job)
        try:
            reply: Reply = reader.read(job)
        except ArchiveRefused as error:
            reply = Refused(str(error))
        teller.tell_rest()
        _say(reply)


class _Teller:
    """Says how much was read, not more often than anybody looks."""

    def __init__(self) -> None:
        self._messages = self._bytes = 0
        self._last = time.monotonic()

    def heard(self, messages: int, count_bytes: int) -> None:
        self._messages += messages
        self._bytes += count_bytes
        if (now := time.monotonic()) - self._last >= TELL_EVERY_S:
            self._last = now
            self.tell_rest()

    def tell_rest(self) -> None:
        _say(Heard(self._messages, self._bytes))
        self._messages = self._bytes = 0


def _say(reply: Reply) -> None:
    data = msgspec.json.encode(reply) + b"\n"
    while data:
        data = data[os.write(1, data) :]


def _listen(source: BinaryIO, lines: "queue.SimpleQueue[bytes]") -> None:
    for line in source:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
