"""Does the voice recite? Training samples are given back their own conversation, and greedy decoding is watched.

One forward pass tells it: a run of positions at which the likeliest token is the one that was written is a run that
greedy decoding would write by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from doppel.basemodel.prompt import PromptEncoder
from proto.conversation import Sample
from services.trainer.core.memorisation import Learnt, canaries_in
from services.trainer.recipe.control import Control
from services.trainer.recipe.data import Example, encode_sample, micro_batches
from services.trainer.recipe.model import PersonaModel


@dataclass(frozen=True)
class Probe:
    """One training sample as ids, and the strings in it that nobody could guess."""

    example: Example
    canaries: tuple[str, ...]


@dataclass(frozen=True)
class Recited:
    """What came out by itself."""

    words: int  # the longest run that is no habit of the person's
    canaries: int
    canaries_out: int


def choose_probes(
    encoder: PromptEncoder, samples: Sequence[Sample], *, system: str, max_seq_len: int, count: int
) -> list[Probe]:
    """Up to half of them hold a canary; the others are spread evenly over the split."""
    marked = [
        (sample, found)
        for sample in samples
        if (found := canaries_in(sample.response, (turn.content for turn in sample.turns)))
    ]
    step = max(1, len(marked) // max(1, count // 2))
    chosen: list[tuple[Sample, list[str]]] = marked[::step][: count // 2]
    rest = count - len(chosen)
    chosen += [(samples[i * len(samples) // rest], []) for i in range(min(rest, len(samples)))]
    probes: list[Probe] = []
    for sample, canaries in chosen:
        example = encode_sample(encoder, sample, system=system, max_seq_len=max_seq_len)
        if example is not None:
            whole = encoder.decode(example.ids[example.prompt_length :])  # a long reply was cut
            probes.append(Probe(example, tuple(canary for canary in canaries if canary in whole)))
    return probes


@torch.inference_mode()
def recite(
    model: PersonaModel,
    encoder: PromptEncoder,
    probes: Sequence[Probe],
    learnt: Learnt,
    *,
    tokens: int,
    control: Control,
) -> Recited:
    """Try them all. A string that the plain base writes too was no secret. Raises Stop."""
    ordered = sorted(probes, key=lambda probe: len(probe.example))
    out: list[tuple[Probe, list[str]]] = []
    longest = 0
    for probe, runs in _runs(model, encoder, ordered, tokens=tokens, control=control):
        longest = max([longest, *(learnt.longest_run(run) for run in runs)])
        given = [canary for canary in probe.canaries if any(canary in run for run in runs)]
        if given:
            out.append((probe, given))
    given_away = sum(len(given) for _, given in out)
    if out:
        with model.as_base():
            guessed = _runs(model, encoder, [probe for probe, _ in out], tokens=tokens, control=control)
            for (_, given), (_, runs) in zip(out, guessed, strict=True):
                given_away -= sum(any(canary in run for run in runs) for canary in given)
    return Recited(longest, sum(len(probe.canaries) for probe in probes), given_away)


def _runs(
    model: PersonaModel, encoder: PromptEncoder, probes: Sequence[Probe], *, tokens: int, control: Control
) -> Iterator[tuple[Probe, list[str]]]:
    """Each probe, by length, with the texts that follow by themselves."""
    rows = iter(probes)
    for batch in micro_batches([probe.example for probe in probes], tokens=tokens, device=model.device):
        control.check()
        likeliest = model.likeliest(batch).tolist()
        for _ in range(batch.tokens.shape[0]):
            probe = next(rows)
            written = probe.example.ids[probe.example.prompt_length :]
            foreseen, likeliest = likeliest[: len(written)], likeliest[len(written) :]
            yield probe, [encoder.decode(run) for run in _equal_runs(written, foreseen)]


def _equal_runs(written: Sequence[int], foreseen: Sequence[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for token, guess in zip(written, foreseen, strict=True):
        if token == guess:
            run.append(token)
        elif run:
            yield run
            run = []
    if run:
        yield run
