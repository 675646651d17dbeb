"""Every request in and out, kept in memory for tests and the page (never in a log)."""

import copy
import json
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Literal

LIMIT = 20_000
MOST_DIFFERENT = 200_000  # calls that are told apart by their arguments
OK = 200
TOO_MANY_REQUESTS = 429
_LISTS = frozenset({"messages", "members", "channels"})
_SECRET_KEYS = frozenset({"token", "app_token", "client_secret", "refresh_token"})


def redacted(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same arguments, tokens blanked."""
    return {key: "***" if key in _SECRET_KEYS else value for key, value in arguments.items()}


def summarised(answer: dict[str, Any]) -> dict[str, Any]:
    """A copy as it is now; pages of messages, people and channels only by their number."""
    short = {
        key: len(value) if key in _LISTS and isinstance(value, list) else value
        for key, value in answer.items()
    }
    return copy.deepcopy(short)


class Journal:
    """A bounded list of what was asked and answered, oldest first."""

    def __init__(self) -> None:
        self._rows: deque[dict[str, Any]] = deque(maxlen=LIMIT)
        self._seq = 0
        self.calls: Counter[str] = Counter()
        self._answered: Counter[tuple[str, str]] = Counter()
        self.limited: Counter[str] = Counter()

    def add(
        self,
        direction: Literal["in", "out"],
        name: str,
        *,
        status: int | None,
        seconds: float,
        request: dict[str, Any],
        response: dict[str, Any],
        fault: str | None = None,
    ) -> dict[str, Any]:
        """Write one row; returns it."""
        self._seq += 1
        row: dict[str, Any] = {
            "seq": self._seq,
            "at": time.time(),
            "direction": direction,
            "name": name,
            "status": status,
            "seconds": round(seconds, 4),
            "request": request,
            "response": response,
        }
        if fault is not None:
            row["fault"] = fault
        self._rows.append(row)
        if direction == "in":
            self.calls[name] += 1
            self._count(name, status, request, response)
        return row

    def _count(
        self, name: str, status: int | None, request: dict[str, Any], response: dict[str, Any]
    ) -> None:
        if status == TOO_MANY_REQUESTS:
            self.limited[name] += 1
        if status != OK or not response:  # an HTML page is no answer
            return
        key = (name, json.dumps(request, sort_keys=True, default=str))
        if key in self._answered or len(self._answered) < MOST_DIFFERENT:
            self._answered[key] += 1

    def answered(self, name: str | None) -> list[dict[str, Any]]:
        """Calls that were answered, each with its arguments and how often."""
        return [
            {"name": each, "request": json.loads(arguments), "count": count}
            for (each, arguments), count in self._answered.items()
            if name in (None, each)
        ]

    def rows(self, *, direction: str | None, name: str | None, since: int) -> Iterator[dict[str, Any]]:
        """Rows newer than `since` (a seq), filtered."""
        for row in self._rows:
            if row["seq"] <= since:
                continue
            if direction not in (None, row["direction"]) or name not in (None, row["name"]):
                continue
            yield row

    def lines(self, *, direction: str | None, name: str | None, since: int) -> str:
        """The same as JSON lines."""
        rows = self.rows(direction=direction, name=name, since=since)
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def clear(self) -> None:
        """Forget everything but the numbering."""
        self._rows.clear()
        for counter in (self.calls, self.limited):
            counter.clear()
        self._answered.clear()
