"""The computing parts of the trainer's bench, each a process: ``python -m bench.trainer_child PART JOB``."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.stock_recipe import BATCH, now
from doppel.basemodel.prompt import PromptEncoder, render_system
from proto.artifacts import Split
from services.trainer.core.job import Progressed
from services.trainer.core.plan import Plan
from services.trainer.core.shape import ModelShape
from services.trainer.recipe.control import Unattended
from services.trainer.recipe.data import (
    IGNORE,
    Example,
    MicroBatch,
    batch_of_step,
    load_examples,
    micro_batches,
)
from services.trainer.recipe.evaluate import held_out_loss
from services.trainer.recipe.loop import train
from services.trainer.recipe.model import PersonaModel

TRIES = 2  # the first one warms up


class Part:
    """What every part begins with."""

    def __init__(self, job: dict[str, Any]) -> None:
        torch.set_num_threads(job["threads"])
        self.job = job
        self.plan = Plan.model_validate(job["plan"])
        self.work = Path(job["work"])
        self.encoder = PromptEncoder.from_folder(Path(job["base"]))

    def examples(self, split: Split, limit: int) -> list[Example]:
        """Encoded as a run would."""
        return load_examples(
            self.encoder,
            Path(self.job["dataset"]),
            split,
            system=render_system(self.job["name"]),
            max_seq_len=self.plan.max_seq_len,
            limit=limit,
        )

    def learnt(self) -> list[Example]:
        """The samples that both recipes train on, each once."""
        return self.examples("train", self.plan.step_count * self.plan.batch_size)

    def model(self) -> PersonaModel:
        """The base with a fresh adapter."""
        plan = self.plan
        return PersonaModel.of_plan(
            Path(self.job["base"]), ModelShape.model_validate(self.job["shape"]), plan, device="cpu"
        )


def give_examples(part: Part) -> dict[str, Any]:
    """The samples as the stock recipe takes them."""
    return {
        "samples": [
            {
                "tokens": list(one.ids),
                "labels": [IGNORE] * one.prompt_length + list(one.ids[one.prompt_length :]),
            }
            for one in part.learnt()
        ]
    }


def run_ours(part: Part) -> dict[str, Any]:
    """One training by our recipe."""
    plan = part.plan.model_copy(update={"precision": part.job["precision"]})
    model, steps = part.model(), list[dict[str, float]]()

    def report(event: Progressed) -> None:
        steps.append({"step": event.step, "loss": event.train_loss or 0.0} | now())

    train(
        model,
        part.learnt(),
        part.examples("validation", plan.validation_samples),
        plan.model_copy(update={"patience": 100}),
        work_folder=part.work / "ours",
        resume_folder=None,
        report=report,
        store=lambda _, folder: None,
        control=Unattended(),
    )
    adapter = part.work / "ours.pt"
    torch.save(model.lora_state(), adapter)
    return {"steps": steps, "adapter": str(adapter), "precision": model.precision}


def measure_held_out(part: Part) -> dict[str, float]:
    """The test split's loss of an adapter that either recipe left, in fp32."""
    model = part.model()
    state: dict[str, Tensor] = torch.load(part.job["adapter"], weights_only=True)
    model.load_lora_state({name: tensor.float() for name, tensor in state.items()})
    return {"loss": held_out_loss(model, part.examples("test", 60), tokens=768, control=Unattended())}


def measure_layouts(part: Part) -> dict[str, float]:
    """CPU seconds of forward and backward over the same samples, laid out in different ways; fp32, then bf16."""
    model, plan = part.model(), part.plan
    drawn = batch_of_step(part.learnt(), 0, batch_size=plan.batch_size, seed=1)
    shuffled = [drawn[i * 3 % len(drawn)] for i in range(len(drawn))]
    by_length = list(micro_batches(drawn, tokens=plan.micro_batch_tokens))
    at_random = [
        batch
        for start in range(0, len(shuffled), BATCH)
        for batch in micro_batches(shuffled[start : start + BATCH], tokens=10**9)
    ]

    def seconds(batches: Sequence[Any], loss: Callable[[Any], Tensor]) -> float:
        found = float("inf")
        for _ in range(TRIES):
            began = time.process_time()
            for batch in batches:
                loss(batch).backward()
            found = min(found, time.process_time() - began)
        return found

    head: Tensor = model.decoder.tok_embeddings.weight  # type: ignore[assignment, union-attr]

    def every_logit(batch: MicroBatch) -> Tensor:
        logits = model.logits(batch.tokens)
        return F.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction="sum"
        )

    def where_trained(batch: MicroBatch) -> Tensor:
        keep = batch.targets != IGNORE
        return F.cross_entropy(F.linear(model.hidden(batch.tokens)[keep], head), batch.targets[keep])

    model.decoder.max_seq_len = 10**6  # type: ignore[assignment]  # a packed row is longer than its samples, whose positions still fit

    def packed(batch: MicroBatch) -> Tensor:
        """One row of several samples; each sees itself alone."""
        at = [(row, column) for row, length in enumerate(batch.lengths) for column in range(length)]
        rows, columns = (torch.tensor(part) for part in zip(*at, strict=True))
        mask = (rows[:, None] == rows[None, :]) & (columns[:, None] >= columns[None, :])
        hidden = model.decoder(
            batch.tokens[rows, columns][None], mask=mask[None], input_pos=columns[None]
        )  # [1, n, hidden]
        targets = batch.targets[rows, columns]
        keep = targets != IGNORE
        return F.cross_entropy(F.linear(hidden[0][keep], head), targets[keep])

    found = {
        "at random, padded, every logit (stock)": seconds(at_random, every_logit),
        "by length, padded, every logit": seconds(by_length, every_logit),
        "by length, padded, logits where trained": seconds(by_length, where_trained),
        "packed with document masks, logits where trained": seconds(by_length, packed),
        "end to end, beginning shared (ours)": seconds(by_length, model.summed_loss),
    }
    model.layers.checkpointing = True
    found["the same, activations computed again"] = seconds(by_length, model.summed_loss)
    model.layers.checkpointing = False
    began = time.process_time()
    model.layers.compile()
    model.summed_loss(by_length[0]).backward()
    compiling_s = time.process_time() - began
    compiled_s = seconds(by_length, model.summed_loss)
    found[f"the same, compiled (and {compiling_s:.0f} s to compile)"] = compiled_s
    model.to_bf16()
    found["ours in bf16"] = seconds(by_length, model.summed_loss)
    return found


PARTS: dict[str, Callable[[Part], Any]] = {
    "examples": give_examples,
    "train": run_ours,
    "held_out": measure_held_out,
    "layouts": measure_layouts,
}


def main() -> int:
    """Compute one part; its last line is what it found."""
    print(json.dumps(PARTS[sys.argv[1]](Part(json.loads(sys.argv[2])))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
