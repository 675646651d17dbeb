"""Memory, numbers and disks fail; each has one remedy, and an end that says so."""

import errno
from collections.abc import Callable

import pytest
import torch
from safetensors import SafetensorError

from services.trainer.recipe.__main__ import failed
from services.trainer.recipe.data import MicroBatch
from services.trainer.recipe.loop import Diverged, OutOfMemory
from services.trainer.recipe.model import PersonaModel
from tests.unit.trainer.recipe.training import Bench


class NeedsSmallPasses(PersonaModel):
    """A machine that has memory for two samples at a time."""

    def summed_loss(self, batch: MicroBatch) -> torch.Tensor:
        if self.decoder.training and torch.is_grad_enabled() and len(batch.tokens) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return super().summed_loss(batch)


class NeedsNoPass(NeedsSmallPasses):
    """A machine that has memory for none."""

    def summed_loss(self, batch: MicroBatch) -> torch.Tensor:
        if torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().summed_loss(batch)


def test_too_little_memory_makes_smaller_passes_not_another_result(
    undisturbed: tuple[Bench, PersonaModel], bench: Bench
) -> None:
    model = bench.model(NeedsSmallPasses)
    bench.train(model, plan=bench.plan.model_copy(update={"micro_batch_tokens": 4096}))
    assert bench.losses == pytest.approx(undisturbed[0].losses, abs=1e-3)


def test_no_memory_at_all_is_said(bench: Bench) -> None:
    with pytest.raises(OutOfMemory):
        bench.train(bench.model(NeedsNoPass))


class Explodes(PersonaModel):
    """The loss is no number at the passes counted here."""

    bad_passes: Callable[[int], bool] = staticmethod(lambda _: True)
    count = 0

    def summed_loss(self, batch: MicroBatch) -> torch.Tensor:
        loss = super().summed_loss(batch)
        if not torch.is_grad_enabled():
            return loss
        self.count += 1
        return loss * float("nan") if self.bad_passes(self.count) else loss


def test_a_loss_that_is_no_number_twice_ends_the_training(bench: Bench) -> None:
    with pytest.raises(Diverged):
        bench.train(bench.model(Explodes))


def test_once_it_goes_on_from_the_best_with_a_lower_rate(bench: Bench) -> None:
    model = bench.model(Explodes)
    assert isinstance(model, Explodes)
    model.bad_passes = lambda count: count == 12
    bench.train(model)
    assert all(torch.isfinite(tensor).all() for tensor in model.lora_state().values())
    assert bench.losses[-1] < bench.losses[0]


class Unlearns(PersonaModel):
    """Its held-out loss rises after the first look."""

    looks = 0

    def summed_loss(self, batch: MicroBatch) -> torch.Tensor:
        loss = super().summed_loss(batch)
        if torch.is_grad_enabled():
            return loss
        self.looks += 1
        return loss + 1000.0 * max(0, self.looks - 2)


def test_a_held_out_loss_far_above_the_bases_is_a_divergence_too(bench: Bench) -> None:
    with pytest.raises(Diverged):
        bench.train(bench.model(Unlearns))


class HasLittleForActivations(PersonaModel):
    """A machine where even one sample fits only if its activations are computed again."""

    def summed_loss(self, batch: MicroBatch) -> torch.Tensor:
        if torch.is_grad_enabled() and not self.layers.checkpointing:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().summed_loss(batch)


def test_where_one_sample_is_too_much_its_activations_are_computed_again(
    undisturbed: tuple[Bench, PersonaModel], bench: Bench
) -> None:
    model = bench.model(HasLittleForActivations)
    bench.train(model)
    assert bench.losses == pytest.approx(undisturbed[0].losses, abs=1e-3)


def test_a_full_disk_is_said_as_such() -> None:
    assert failed(OSError(errno.ENOSPC, "secret")).code == "disk_full"
    assert failed(ValueError("os error 28")).code == "internal"
    said = "I/O error: No space left on device (os error 28)"  # what its writer says; it has no class for it
    assert failed(SafetensorError(said)).code == "disk_full"
