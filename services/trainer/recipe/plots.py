"""The loss plot as a PNG."""

from collections.abc import Sequence
from pathlib import Path

from proto.report import LossPoint


def plot_losses(
    path: Path, curve: Sequence[LossPoint], *, base_test_loss: float, test_loss: float, best_step: int
) -> None:
    """Training and validation loss by step, and the test losses of base and adapter as two lines (blocking)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    train = [(point.step, point.train_loss) for point in curve if point.train_loss is not None]
    looks = [(point.step, point.validation_loss) for point in curve if point.validation_loss is not None]
    if train:
        axes.plot(*zip(*train, strict=True), color="#9aa5b1", linewidth=1.2, label="training, each step")
    if looks:
        axes.plot(*zip(*looks, strict=True), color="#1264a3", marker="o", label="held out (validation)")
    axes.axhline(
        base_test_loss, color="#b0413e", linestyle="--", label=f"plain model, test: {base_test_loss:.2f}"
    )
    axes.axhline(test_loss, color="#2e7d32", linestyle="--", label=f"this voice, test: {test_loss:.2f}")
    axes.axvline(best_step, color="#1264a3", alpha=0.3, linewidth=1, label=f"kept: step {best_step}")
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("nats per word piece (lower is better)")
    axes.set_title("How well the person's words are foreseen")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Software": None})
