"""One run: ``python -m services.trainer.recipe JOB.json PARENT_PID``.

JSON lines (`services.trainer.core.job`) go to stdout, everything else to stderr. Exit code 0 whenever the last line
says how it ended.
"""

import math
import os
import sys
import time
import traceback
from pathlib import Path

from proto.artifacts import SPLITS, Split
from services.trainer.core.job import (
    CURVES_FOLDER,
    DISK_FULL,
    NO_ROOM,
    CheckpointWritten,
    Event,
    Failed,
    FailureCode,
    Finished,
    Job,
    Progressed,
    Stopped,
    Used,
    render_event,
)
from services.trainer.recipe.control import ParentControl, Stop, die_with_parent

NICE = 5  # the parent's heartbeats and the other services come first


class Lines:
    """The parent's end of stdout. Libraries that print find stderr instead."""

    def __init__(self) -> None:
        self._fd = os.dup(1)
        os.dup2(2, 1)

    def send(self, event: Event) -> None:
        """One line, in one write."""
        os.write(self._fd, render_event(event))


def run(job: Job, lines: Lines, control: ParentControl) -> Finished:
    """Data, model, loop, evaluation, export."""
    lines.send(Progressed(stage="preparing", total=job.plan.step_count))
    import torch

    from doppel.basemodel.prompt import PromptEncoder
    from services.trainer.core.effort import effort_on
    from services.trainer.recipe.curves import Curves
    from services.trainer.recipe.data import Example, load_examples, read_samples
    from services.trainer.recipe.history import History
    from services.trainer.recipe.loop import train
    from services.trainer.recipe.measure import Subject, measure, write_files
    from services.trainer.recipe.model import PersonaModel

    torch.set_num_threads(job.threads)
    plan, base, dataset, work = (
        job.plan,
        Path(job.base_folder),
        Path(job.dataset_folder),
        Path(job.work_folder),
    )
    encoder = PromptEncoder.from_folder(base)

    def load(split: Split, limit: int | None = None) -> list[Example]:
        return load_examples(
            encoder, dataset, split, system=job.system, max_seq_len=plan.max_seq_len, limit=limit
        )

    train_examples = load("train")
    validation_examples = load("validation", plan.validation_samples)
    test_examples = load("test", plan.test_samples)
    if not (train_examples and validation_examples and test_examples):
        raise NoWords
    model = PersonaModel.of_plan(base, job.shape, plan, device=job.device)
    began = time.monotonic()
    resume_folder = Path(job.resume_folder) if job.resume_folder else None
    history = History.read(resume_folder)
    curves = Curves(work / CURVES_FOLDER, history)
    model.base_sha256 = job.base_sha256

    def report(event: Progressed) -> None:
        history.note(event)
        curves.note(event)
        lines.send(event)

    def store(step: int, folder: Path) -> None:
        history.write(folder)
        curves.flush()
        lines.send(CheckpointWritten(step=step, folder=str(folder)))

    position = train(
        model,
        train_examples,
        validation_examples,
        plan,
        work_folder=work,
        resume_folder=resume_folder,
        report=report,
        store=store,
        control=control,
    )
    curves.close()
    lines.send(Progressed(stage="evaluating", step=position.step, total=plan.step_count))
    history.measured(position.best_step, position.best_loss)
    train_samples, validation_samples, test_samples = (
        tuple(read_samples(dataset, split)) for split in SPLITS
    )
    subject = Subject(
        model,
        encoder,
        job.system,
        plan.max_seq_len,
        position.micro_batch_tokens,
        plan.seed,
        train_samples,
        validation_samples,
        test_samples,
    )
    measures = measure(
        subject,
        test_examples,
        effort_on(job.device),
        validation_loss=position.best_loss,
        curve=history.curve,
        control=control,
    )
    write_files(measures, work / "report", best_step=position.best_step)
    folder = work / "adapter"
    model.export(folder, base_model=job.base_model)
    return Finished(
        folder=str(folder),
        report_folder=str(work / "report"),
        step_count=position.step,
        best_step=position.best_step,
        sample_count=len(train_examples),
        base_test_loss=measures.base_test_loss,
        test_loss=measures.test_loss,
        validation_loss=position.best_loss,
        used=Used(
            precision=position.precision,
            compile="on" if position.compiled else "off",
            recompute="on" if position.recompute else "off",
            micro_batch_tokens=position.micro_batch_tokens,
            learning_rate_scale=position.learning_rate_scale,
            device=job.device,
            threads=job.threads,
        ),
        train_s=position.train_s or time.monotonic() - began,
    )


class NoWords(Exception):
    """Of one split nothing is left once it is encoded."""


_BASE = "The base model's files can't be read. Prepare the base model again."
REASONS: dict[str, tuple[FailureCode, str]] = {
    "Diverged": (
        "diverged",
        "The training did not settle, even with a lower learning rate. Ask for a smaller one.",
    ),
    "NoWords": ("no_words", "There is nothing in this dataset that a voice could be learnt from."),
    "OutOfMemory": (
        "out_of_memory",
        "This machine has too little memory for the base model. Use a smaller one.",
    ),
    "BaseModelCorrupt": ("base_mismatch", _BASE),
    "BaseModelUnusable": ("base_mismatch", _BASE),
    "CheckpointCorrupt": ("checkpoint_corrupt", "A stored state of this run is damaged."),
    "ArtifactCorrupt": ("dataset_corrupt", "The dataset's files can't be read."),
}


def is_disk_full(error: BaseException | None) -> bool:
    """Python's file errors have a number; those of safetensors only a sentence."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in NO_ROOM
    said = type(error).__name__ == "SafetensorError" and any(f"os error {n})" in str(error) for n in NO_ROOM)
    return said or (error is not None and is_disk_full(error.__cause__))


def failed(error: Exception) -> Failed:
    """What went wrong, by its class: an exception's own text may hold data, the places in the code never do."""
    code, reason = REASONS.get(type(error).__name__, ("internal", "The training ended in an error of ours."))
    if is_disk_full(error):
        code, reason = "disk_full", DISK_FULL
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return Failed(code=code, reason=reason, stack=f"{type(error).__name__} {places}")


def main() -> int:
    """Command line."""
    if len(sys.argv) != 3:
        sys.stderr.write("usage: python -m services.trainer.recipe JOB.json PARENT_PID\n")
        return 2
    die_with_parent(int(sys.argv[2]))
    os.nice(NICE)
    lines = Lines()
    job = Job.model_validate_json(Path(sys.argv[1]).read_bytes())
    control = ParentControl(sys.stdin.buffer.raw, silence_s=job.silence_s)  # type: ignore[attr-defined]
    try:
        finished = run(job, lines, control)
        bad = not all(
            map(math.isfinite, (finished.base_test_loss, finished.test_loss, finished.validation_loss))
        )
        lines.send(failed(ArithmeticError()) if bad else finished)
    except Stop:
        lines.send(Stopped())
    except Exception as error:  # noqa: BLE001  the end of the process; the parent decides what it means
        lines.send(failed(error))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
