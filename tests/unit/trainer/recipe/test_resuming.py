"""Killed anywhere, a run ends with the very weights of one that nobody disturbed."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from safetensors.torch import load_file

from services.trainer.core.job import (
    CURVES_FOLDER,
    CheckpointWritten,
    Event,
    Finished,
    Job,
    Progressed,
    parse_event,
)
from services.trainer.recipe.checkpoint import CheckpointCorrupt
from services.trainer.recipe.control import Stop
from services.trainer.recipe.model import PersonaModel
from tests.unit.trainer.recipe.training import SYSTEM, Bench, StopAfter, same_weights

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("looks", [2, 5, 12])
def test_stopped_anywhere_and_resumed_it_ends_with_the_same_weights(
    undisturbed: tuple[Bench, PersonaModel], bench: Bench, looks: int
) -> None:
    with pytest.raises(Stop):
        bench.train(bench.model(), control=StopAfter(looks))
    resumed = bench.model()
    bench.train(resumed, resume=bench.checkpoints[-1])
    assert same_weights(resumed, undisturbed[1])
    assert bench.losses == undisturbed[0].losses


def test_a_damaged_checkpoint_says_so(undisturbed: tuple[Bench, PersonaModel], bench: Bench) -> None:
    with pytest.raises(Stop):
        bench.train(bench.model(), control=StopAfter(3))
    optimizer = bench.checkpoints[-1] / "optimizer.safetensors"
    optimizer.write_bytes(optimizer.read_bytes()[:1000])
    with pytest.raises(CheckpointCorrupt):
        bench.train(bench.model(), resume=bench.checkpoints[-1])


def test_what_was_decided_at_the_first_step_holds_for_whoever_resumes(bench: Bench) -> None:
    with pytest.raises(Stop):
        bench.train(
            bench.model(),
            plan=bench.plan.model_copy(update={"precision": "bf16", "recompute": "on"}),
            control=StopAfter(3),
        )
    resumed = bench.model()
    bench.train(resumed, resume=bench.checkpoints[-1])
    assert (resumed.precision, resumed.layers.checkpointing) == ("bf16", True)


def test_a_checkpoint_of_another_base_is_none_of_this_runs(bench: Bench) -> None:
    with pytest.raises(Stop):
        bench.train(bench.model(), control=StopAfter(3))
    other = bench.model()
    other.base_sha256 = "f" * 64
    with pytest.raises(CheckpointCorrupt):
        bench.train(other, resume=bench.checkpoints[-1])


def start_child(bench: Bench, *, resume: Path | None = None) -> "subprocess.Popen[bytes]":
    job = Job(
        run_id=uuid4(),
        base_model="tiny",
        base_folder=str(bench.base),
        dataset_folder=str(bench.dataset),
        work_folder=str(bench.work),
        resume_folder=str(resume) if resume else None,
        system=SYSTEM,
        shape=bench.shape,
        plan=bench.plan,
        silence_s=300,
    )
    file = bench.work / "job.json"
    file.write_text(job.model_dump_json())
    return subprocess.Popen(
        [sys.executable, "-m", "services.trainer.recipe", str(file), str(os.getpid())],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def run_until(bench: Bench, resume: Path | None, step: int | None) -> Event:
    """A child, killed in the middle of the step after `step`; returns its last word and notes its checkpoints."""
    event: Event | None = None
    with start_child(bench, resume=resume) as child:
        assert child.stdout is not None
        for line in child.stdout:
            event = parse_event(line)
            if isinstance(event, CheckpointWritten):
                bench.checkpoints.append(Path(event.folder))
            if isinstance(event, Progressed) and event.step == step:
                child.kill()
    assert event is not None
    return event


def test_children_killed_at_any_step_and_a_last_one_publish_the_undisturbed_weights(
    undisturbed: tuple[Bench, PersonaModel], bench: Bench
) -> None:
    first = bench.work
    for number, step in enumerate((1, 5, None)):  # None: nobody kills the last one
        bench.work = first / str(number)
        bench.work.mkdir()
        resume = bench.checkpoints[-1] if bench.checkpoints else None
        finished = run_until(bench, resume, step)
    assert isinstance(finished, Finished), finished
    undisturbed[1].export(bench.work / "expected", base_model="tiny")
    expected = load_file(bench.work / "expected" / "adapter_model.safetensors")
    found = load_file(Path(finished.folder) / "adapter_model.safetensors")
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert finished.test_loss < finished.base_test_loss
    assert len(list((bench.work / CURVES_FOLDER).glob("events.*"))) == 1
