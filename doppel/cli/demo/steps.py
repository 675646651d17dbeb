"""The steps of the story: shown while they run, timed when they end."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from doppel.cli.bars import Bar, bar
from doppel.cli.terminal import Terminal


@dataclass
class Steps:
    """What has been done so far, and how long each took."""

    terminal: Terminal
    done: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    _bar: Bar | None = None

    def tell(self, what: str) -> None:
        """What is being done within the step that runs, or between two."""
        if self._bar is not None:
            self._bar.tell(what)
        else:
            self.terminal.aside(what)

    @contextmanager
    def step(self, name: str) -> Generator[Bar]:
        """Run a block as one step, with a bar; only a step that ends well is listed."""
        began = time.monotonic()
        if not self.terminal.people.is_terminal:
            self.terminal.people.print(f"… {name}", markup=False)
        try:
            with bar(self.terminal.people, name) as self._bar:
                yield self._bar
        except BaseException:
            self.terminal.people.print(f"✕ {name}", style="red", markup=False)
            raise
        finally:
            self._bar = None
        seconds = time.monotonic() - began
        self.done.append((name, seconds))
        self.terminal.people.print(f"✓ {name}  {seconds:.1f} s", markup=False)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """For the JSON line."""
        return [{"name": name, "seconds": round(seconds, 2)} for name, seconds in self.done]
