"""A run's curves as TensorBoard reads them, beside its checkpoints. A resumed run writes the whole of them again."""

import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]  made by protobuf
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from services.trainer.core.job import Progressed
from services.trainer.recipe.history import History


class Curves:
    """Losses, learning rate, throughput and memory by step."""

    def __init__(self, folder: Path, earlier: History) -> None:
        self._writer = EventFileWriter(str(folder))
        for point in earlier.curve:
            self._add(point.step, loss_train=point.train_loss, loss_held_out=point.validation_loss)

    def note(self, event: Progressed) -> None:
        """One step."""
        if event.stage == "training":
            self._add(
                event.step,
                loss_train=event.train_loss,
                loss_held_out=event.validation_loss,
                learning_rate=event.learning_rate,
                tokens_per_second=event.tokens_per_s,
                memory_bytes=event.memory_bytes,
            )

    def flush(self) -> None:
        """All that was noted is in the file."""
        self._writer.flush()

    def close(self) -> None:
        """No more is coming."""
        self._writer.close()

    def _add(self, step: int, **values: float | None) -> None:
        said = [
            Summary.Value(tag=name.replace("loss_", "loss/"), simple_value=value)
            for name, value in values.items()
            if value is not None
        ]
        self._writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=said)))
