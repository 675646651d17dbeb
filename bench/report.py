"""What a bench found: ratios measured side by side in one run, their goals, and the machine they were measured on."""

import argparse
import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Figures:
    """Ratios by name with the bound that each should keep; those of `at_most` are upper bounds."""

    ratios: dict[str, float] = field(default_factory=dict[str, float])
    goals: dict[str, float] = field(default_factory=dict[str, float])
    at_most: list[str] = field(default_factory=list[str])

    def least(self, name: str, value: float, goal: float) -> None:
        """A ratio that should reach `goal`."""
        self.ratios[name], self.goals[name] = round(value, 4), goal

    def most(self, name: str, value: float, goal: float) -> None:
        """A ratio, or a count, that should stay at or under `goal`."""
        self.least(name, value, goal)
        self.at_most.append(name)

    def missed(self) -> list[str]:
        """Names whose goal is not kept."""
        return [
            name
            for name, value in self.ratios.items()
            if (value > self.goals[name] if name in self.at_most else value < self.goals[name])
        ]

    def join(self, other: "Figures") -> None:
        """Take over another part's figures."""
        self.ratios |= other.ratios
        self.goals |= other.goals
        self.at_most += other.at_most

    def line(self, bench: str) -> str:
        """The last line of a bench: one JSON object."""
        return json.dumps(
            {
                "bench": bench,
                "ratios": self.ratios,
                "goals": self.goals,
                "at_most": self.at_most,
                "machine": machine(),
            },
            sort_keys=False,
        )


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Of a bench's arguments; the module's docstring is its help."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def finish(figures: Figures, bench: str) -> int:
    """Name the goals that were missed, and print the last line; the exit code."""
    for name in figures.missed():
        print(f"goal missed: {name} is {figures.ratios[name]}, wanted {figures.goals[name]}")
    print(figures.line(bench))
    return 1 if figures.missed() else 0


def machine() -> str:
    """Processor, cores that may be used, memory, Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    cores = len(os.sched_getaffinity(0))
    return f"{model or platform.processor()}, {cores} cores, {memory_gib:.0f} GiB, Python {platform.python_version()}"
