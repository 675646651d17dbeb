from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from proto.report import LossPoint
from services.trainer.core.job import Progressed
from services.trainer.recipe.curves import Curves
from services.trainer.recipe.history import History


def test_tensorboard_shows_the_whole_curve_of_a_resumed_run(tmp_path: Path) -> None:
    earlier = History({1: LossPoint(step=1, train_loss=4.0), 2: LossPoint(step=2, train_loss=3.0)})
    curves = Curves(tmp_path, earlier)
    curves.note(Progressed(stage="preparing", step=0))
    curves.note(Progressed(stage="training", step=3, train_loss=2.0, validation_loss=2.5, learning_rate=0.5))
    curves.close()

    shown = EventAccumulator(str(tmp_path)).Reload()
    assert [(point.step, point.value) for point in shown.Scalars("loss/train")] == [(1, 4), (2, 3), (3, 2)]
    assert [point.value for point in shown.Scalars("loss/held_out")] == [2.5]
    assert [point.value for point in shown.Scalars("learning_rate")] == [0.5]
