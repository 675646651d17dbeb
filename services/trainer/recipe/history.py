"""The curve of a run's losses. It travels with each checkpoint, so that a resumed run has the whole of it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from proto.report import LossPoint
from services.trainer.core.job import Progressed

FILE = "history.json"
_POINTS = TypeAdapter(tuple[LossPoint, ...])


@dataclass
class History:
    """Losses by step."""

    points: dict[int, LossPoint] = field(default_factory=dict[int, LossPoint])
    _measured: float | None = None

    @classmethod
    def read(cls, folder: Path | None) -> "History":
        """What an earlier holder saw; empty where there is nothing, since a curve is worth no failure."""
        try:
            found = _POINTS.validate_json((folder / FILE).read_bytes()) if folder else ()
        except (OSError, ValidationError):
            found = ()
        history = cls({point.step: point for point in found})
        history._measured = next(
            (p.validation_loss for p in reversed(found) if p.validation_loss is not None), None
        )
        return history

    def note(self, event: Progressed) -> None:
        """One step. The validation loss that a step reports was measured before it."""
        if event.stage != "training":
            return
        if event.validation_loss is not None and event.validation_loss != self._measured:
            self._measured = event.validation_loss
            self.measured(max(0, event.step - 1), event.validation_loss)
        known = self.points.get(event.step)
        self.points[event.step] = LossPoint(
            step=event.step,
            train_loss=event.train_loss,
            validation_loss=known.validation_loss if known else None,
        )

    def measured(self, step: int, validation_loss: float) -> None:
        """A look at the held-out loss."""
        known = self.points.get(step)
        self.points[step] = LossPoint(
            step=step, train_loss=known.train_loss if known else None, validation_loss=validation_loss
        )

    def write(self, folder: Path) -> None:
        """Beside a checkpoint's files."""
        points = [point.model_dump(exclude_none=True) for point in self.curve]
        (folder / FILE).write_text(json.dumps(points) + "\n")

    @property
    def curve(self) -> tuple[LossPoint, ...]:
        """In the order of the steps."""
        return tuple(self.points[step] for step in sorted(self.points))
