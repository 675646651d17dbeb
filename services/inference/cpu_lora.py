"""The LoRA operation on a processor, in place of vLLM's: runs inside the engine's own processes.

There, requests without adapter in a batch with others get the wrong weights, the adapter's matrices are copied once per
token, and each of a model's two hundred projections finds out anew which rows belong to which adapter. Here that is
found out once per step; adapters with few rows each, as in decoding, share one batched product over their slots as they
lie in memory, since sixteen small products cost more than one, and the others have a product each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

FEW: Final = 8  # rows; the batched product pads to the adapter that has most

Rows = slice | torch.Tensor


@dataclass(frozen=True)
class Together:
    """Adapters with few rows each, as one batched product over the slots from `first` on."""

    first: int
    slots: int
    room: int  # rows a slot has in the padded batch
    rows: torch.Tensor  # of the batch
    places: torch.Tensor  # of the same rows in [slots · room]


@dataclass(frozen=True)
class Plan:
    """Who takes part in which product."""

    alone: Sequence[tuple[int, Rows]]
    together: Together | None


def replace() -> None:
    """Put it where vLLM looks (private names of the version that `plugin.py` checks)."""
    from vllm.lora.punica_wrapper import punica_cpu

    wrapper: Any = punica_cpu.PunicaWrapperCPU
    wrapper.update_metadata = planning(wrapper.update_metadata)
    wrapper.add_lora_linear = add_lora_linear


def planning(stock: Callable[..., None]) -> Callable[..., None]:
    """The wrapper's method that hears of each new batch."""

    def update_metadata(self: Any, *args: Any, **named: Any) -> None:
        stock(self, *args, **named)
        self.plan = plan_products(self.token_lora_indices.tolist())

    return update_metadata


def plan_products(slots: Sequence[int]) -> Plan:
    """Share out the rows of a batch by the slot of each; below zero means no adapter."""
    found: dict[int, list[int]] = {}
    for row, slot in enumerate(slots):
        if slot >= 0:
            found.setdefault(slot, []).append(row)
    few = {slot: rows for slot, rows in found.items() if len(rows) <= FEW}
    if len(few) == 1:
        few = {}
    alone = [(slot, _neighbours(rows)) for slot, rows in found.items() if slot not in few]
    return Plan(alone, _together(few) if few else None)


def _neighbours(rows: list[int]) -> Rows:
    """As a slice where there is no gap: then nothing is copied."""
    first, last = rows[0], rows[-1]
    return slice(first, last + 1) if last - first == len(rows) - 1 else torch.tensor(rows)


def _together(few: dict[int, list[int]]) -> Together:
    first, last, room = min(few), max(few), max(map(len, few.values()))
    places = [(slot - first) * room + number for slot, rows in few.items() for number in range(len(rows))]
    rows = [row for rows in few.values() for row in rows]
    return Together(first, last - first + 1, room, torch.tensor(rows), torch.tensor(places))


# Names and order of the parameters are vLLM's.
def add_lora_linear(
    self: Any,
    y: torch.Tensor,
    x: torch.Tensor,
    lora_a_stacked: Sequence[torch.Tensor],
    lora_b_stacked: Sequence[torch.Tensor],
    scale: float,
    output_slices: Sequence[int],
    **_: Any,
) -> None:
    """Add to each row what its adapter says, in place: y += scale · x Aᵀ Bᵀ, slice by slice. [rows, in], [rows, out]"""
    y, x = y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1])
    plan: Plan = self.plan
    padded = None if plan.together is None else _padded(x, plan.together)  # the same for each slice
    left = 0
    for a, b, size in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
        part = y[:, left : left + size]
        for slot, rows in plan.alone:
            _add_alone(part, x, a[slot, 0], b[slot, 0], scale, rows)
        if plan.together is not None and padded is not None:
            _add_together(part, padded, a[:, 0], b[:, 0], scale, plan.together)
        left += size


def _add_alone(
    y: torch.Tensor, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: float, rows: Rows
) -> None:
    if isinstance(rows, slice):
        y[rows].addmm_(x[rows] @ a.T, b.T, alpha=scale)
    else:
        y.index_add_(0, rows, x[rows] @ a.T @ b.T, alpha=scale)


def _padded(x: torch.Tensor, those: Together) -> torch.Tensor:
    """Each adapter's rows in its slot: [rows, in] → [slots, room, in]."""
    padded = x.new_zeros(those.slots * those.room, x.shape[-1])
    padded[those.places] = x[those.rows]
    return padded.view(those.slots, those.room, -1)


def _add_together(
    y: torch.Tensor, padded: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: float, those: Together
) -> None:
    theirs = slice(those.first, those.first + those.slots)
    low_rank = torch.bmm(padded, a[theirs].transpose(1, 2))
    sums = torch.bmm(low_rank, b[theirs].transpose(1, 2)).flatten(0, 1)  # [slots · room, out]
    y.index_add_(0, those.rows, sums[those.places], alpha=scale)
