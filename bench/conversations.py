"""python -m bench.conversations

Who answers whom outside of threads: reply cues beside the time gap alone, against what people annotated.

The export has 6,310 threads with 56,398 replies that were annotated by hand. Their `thread_ts` is hidden here, so every
message stands in the channel; then each way of finding conversations is asked what a reply answers.
"""

import sys
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.real_history import DATA, read_history
from bench.report import Figures, finish, parser
from services.scraper.core.replies import MEMORY_S, Channel, Directory, Placed
from services.scraper.core.said import Said
from services.scraper.core.segment import Placer

CONTEXT: Final = 12  # messages


@dataclass
class GapAlone:
    """What went just before is answered, unless there was a silence."""

    _last: Placed | None = None

    def place(self, said: Said) -> tuple[Placed, Placed | None]:
        """As `services.scraper.core.segment.Placer`."""
        last = self._last
        answered = last if last is not None and said.at - last.at <= MEMORY_S else None
        number = answered.conversation if answered else (last.conversation + 1 if last else 0)
        self._last = Placed(said, said.at, number, None, False)
        return self._last, answered


@dataclass
class Score:
    """How well one way does."""

    replies: int = 0
    right_parent: int = 0
    no_parent: int = 0
    context: Counter[str] = field(default_factory=Counter)
    truth: dict[str, str] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    us_per_message: float = 0.0

    def row(self) -> list[float]:
        """Shares: parent right, none found, context precision and recall, pairs precision, recall, F1."""
        precision, recall = pairs(self.truth, self.found)
        return [
            self.right_parent / self.replies,
            self.no_parent / self.replies,
            self.context["right"] / max(1, self.context["given"]),
            self.context["right"] / self.context["wanted"],
            precision,
            recall,
            2 * precision * recall / (precision + recall),
            self.us_per_message,
        ]


def pairs(truth: Mapping[str, Hashable], found: Mapping[str, Hashable]) -> tuple[float, float]:
    """Of all pairs of annotated messages: precision and recall of being in one conversation."""

    def count(groups: Counter[Hashable]) -> int:
        return sum(n * (n - 1) // 2 for n in groups.values())

    both = count(Counter((truth[ts], found[ts]) for ts in truth))
    return both / count(Counter(found[ts] for ts in truth)), both / count(Counter(truth.values()))


def score(messages: list[Said], placer: Placer) -> Score:
    """Place every message, and look at the annotated ones."""
    result = Score()
    talks: defaultdict[int, deque[Said]] = defaultdict(lambda: deque(maxlen=CONTEXT))
    threads: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=CONTEXT))
    spent = 0.0
    for said in messages:
        began = time.perf_counter()
        placed, answered = placer.place(said)
        spent += time.perf_counter() - began
        talk = talks[placed.conversation]
        if said.thread_ts is not None:
            if not said.is_root:
                result.replies += 1
                result.no_parent += answered is None
                result.right_parent += answered is not None and answered.said.thread_ts == said.thread_ts
                right = sum(each.thread_ts == said.thread_ts for each in talk)
                result.context.update(right=right, given=len(talk), wanted=len(threads[said.thread]))
            result.truth[said.ts], result.found[said.ts] = said.thread, placed.conversation
            threads[said.thread].append(said.ts)
        talk.append(said)
    result.us_per_message = spent / len(messages) * 1e6
    return result


def main() -> int:
    """Print the table; the last line is one JSON object."""
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, default=DATA, help="the folder of the export")
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        history = read_history(args.data, Path(folder))
        messages = history.messages()
    directory = Directory.of(history.people)
    ways = {"time gap alone": GapAlone(), "reply cues": Channel(directory)}
    rows = {name: score(messages, placer) for name, placer in ways.items()}
    heads = (
        "parent right",
        "none found",
        "ctx prec.",
        "ctx recall",
        "pair prec.",
        "pair recall",
        "pair F1",
        "µs/msg",
    )
    print(f"{rows['reply cues'].replies:,} annotated replies among {len(messages):,} messages\n")
    print(f"{'':16}" + "".join(f"{head:>13}" for head in heads))
    for name, result in rows.items():
        print(f"{name:16}" + "".join(f"{value:13.3f}" for value in result.row()))
    gap, cues = (result.row() for result in rows.values())
    figures = Figures()
    figures.least("parent_right_over_gap", cues[0] / gap[0], 1.8)
    figures.least("pair_f1_over_gap", cues[6] / gap[6], 3.0)
    return finish(figures, "conversations")


if __name__ == "__main__":
    sys.exit(main())
