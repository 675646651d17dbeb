"""One training of the tiny model in this process, for the tests beside this file."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from doppel.basemodel.prompt import PromptEncoder
from services.trainer.core.job import (
    Progressed,
)
from services.trainer.core.plan import Plan
from services.trainer.core.shape import ModelShape
from services.trainer.recipe.control import Stop, Unattended
from services.trainer.recipe.data import Example, load_examples
from services.trainer.recipe.loop import train
from services.trainer.recipe.model import PersonaModel

SYSTEM = "You are Ada."


@dataclass
class StopAfter:
    """Says stop at the n-th look."""

    looks: int

    def check(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            raise Stop


@dataclass
class Bench:
    """One training in this process, with what it said."""

    base: Path
    dataset: Path
    shape: ModelShape
    encoder: PromptEncoder
    plan: Plan
    work: Path
    losses: list[float] = field(default_factory=list)
    checkpoints: list[Path] = field(default_factory=list)

    def model(self, make: type[PersonaModel] = PersonaModel) -> PersonaModel:
        return make.of_plan(self.base, self.shape, self.plan, device="cpu")

    def examples(self, split: str) -> list[Example]:
        return load_examples(self.encoder, self.dataset, split, system=SYSTEM, max_seq_len=128)  # type: ignore[arg-type]

    def train(
        self,
        model: PersonaModel,
        *,
        resume: Path | None = None,
        control: StopAfter | Unattended | None = None,
        plan: Plan | None = None,
    ) -> None:
        def report(event: Progressed) -> None:
            assert event.train_loss is not None
            self.losses.append(event.train_loss)

        train(
            model,
            self.examples("train"),
            self.examples("validation"),
            plan or self.plan,
            work_folder=self.work,
            resume_folder=resume,
            report=report,
            store=lambda _, folder: self.checkpoints.append(folder),
            control=control or Unattended(),
        )


def same_weights(one: PersonaModel, other: PersonaModel) -> bool:
    left, right = one.lora_state(), other.lora_state()
    return all(torch.equal(left[name], right[name]) for name in left)
