"""Answers that say nearly the same: MinHash over letter groups, by `rensa`.

A. Broder, "On the resemblance and containment of documents" (1997). The seed is fixed, so the outcome depends on the
texts and their order alone.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

import rensa  # pyright: ignore[reportMissingTypeStubs]

PERMUTATIONS: Final = 128
SEED: Final = 20_041_020
BANDS: Final = 32  # of 4 rows: at a similarity of 0.8 one in 10^7 pairs is missed
SIMILAR: Final = 0.8  # estimated Jaccard similarity from which on two answers are the same one
GROUP: Final = 4  # letters


_rensa = cast("Any", rensa)  # a compiled module without type stubs


class _Sketch(Protocol):
    def update(self, items: list[str]) -> None: ...

    def jaccard(self, other: "_Sketch") -> float: ...


class _Index(Protocol):
    def insert(self, key: int, minhash: _Sketch) -> None: ...

    def query(self, minhash: _Sketch) -> list[int]: ...


def _new_index() -> _Index:
    return _rensa.RMinHashLSH(threshold=SIMILAR, num_perm=PERMUTATIONS, num_bands=BANDS)


@dataclass
class Seen:
    """Answers taken so far."""

    _index: _Index = field(default_factory=_new_index)
    _sketches: list[_Sketch] = field(default_factory=list[_Sketch])

    def add(self, text: str) -> bool:
        """Take an answer in. False: one that says nearly the same is there already, and this one is not taken."""
        sketch = _sketch(text)
        if any(sketch.jaccard(self._sketches[key]) >= SIMILAR for key in self._index.query(sketch)):
            return False
        self._index.insert(len(self._sketches), sketch)
        self._sketches.append(sketch)
        return True


def _sketch(text: str) -> _Sketch:
    plain = " ".join(text.casefold().split())
    groups = [plain[i : i + GROUP] for i in range(max(1, len(plain) - GROUP + 1))]
    sketch: _Sketch = _rensa.RMinHash(num_perm=PERMUTATIONS, seed=SEED)
    sketch.update(groups)
    return sketch
