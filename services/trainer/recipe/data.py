"""Samples to batches: token ids, which of them are the persona's, and in which order they are learnt.

The order is a function of (seed, step) alone. So the data position of a run is its step, and a resumed run
sees exactly the batches that an undisturbed one would have seen.
"""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import zstandard
from pydantic import ValidationError
from torch import Tensor

from doppel.basemodel.prompt import PromptEncoder
from proto.artifacts import Split, split_file
from proto.conversation import Sample, Turn
from proto.errors import ArtifactCorrupt, RequestInvalid

IGNORE = -100  # the target of every position that is not trained
BATCHES_PER_BUCKET = 8  # samples of so many batches are sorted by length together
CHARACTERS_PER_TOKEN = 3  # of ordinary text, roughly
PROMPT_SHARE = 0.75  # of max_seq_len; the reply gets the rest


@dataclass(frozen=True)
class Example:
    """One sample as ids: what was said before, then the persona's words."""

    ids: tuple[int, ...]
    prompt_length: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def trained_tokens(self) -> int:
        """How many of the persona's tokens the loss sees."""
        return len(self.ids) - self.prompt_length


@dataclass(frozen=True)
class MicroBatch:
    """One forward pass. Padding is at the right, so the causal mask alone keeps it out of every prediction.

    A sample's last token foretells nothing, so it is a target and no input.
    """

    tokens: Tensor  # [batch, seq]
    targets: Tensor  # [batch, seq]; the token that follows, or IGNORE
    lengths: tuple[int, ...]  # of each row, without its padding; one less than the sample's
    shared: int = 0  # so many first tokens are the same in every row, and none of them has a target

    @property
    def trained_tokens(self) -> int:
        """Positions with a target."""
        return int((self.targets != IGNORE).sum())


def read_samples(folder: Path, split: Split) -> Iterator[Sample]:
    """Stream one split of a dataset's folder. Raises ArtifactCorrupt."""
    name = split_file(split)
    try:
        with (folder / name).open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as plain:
            for line in io.TextIOWrapper(plain, encoding="utf-8"):
                yield Sample.model_validate_json(line)
    except (OSError, ValidationError, UnicodeDecodeError, zstandard.ZstdError) as error:
        raise ArtifactCorrupt(f"the dataset's {name}") from error


def encode_sample(encoder: PromptEncoder, sample: Sample, *, system: str, max_seq_len: int) -> Example | None:
    """Ids of one sample, or None where nothing would be learnt from it. Context is dropped from the oldest."""
    if not sample.response.strip() or not sample.turns:
        return None
    reply = encoder.encode_reply(sample.response)
    turns = (Turn(role="system", content=system), *sample.turns)
    prompt_limit = max(int(max_seq_len * PROMPT_SHARE), max_seq_len - len(reply))
    try:
        turns = encoder.trim(turns, prompt_limit)
    except RequestInvalid:  # the last message alone is too long: its end is what was answered
        last = sample.turns[-1].content[-CHARACTERS_PER_TOKEN * prompt_limit // 2 :].lstrip()
        turns = (turns[0], Turn(role="user", content=last))
    prompt = encoder.encode(turns)
    if len(prompt) > prompt_limit:  # of a script with more tokens than characters
        return None
    ids = (*prompt, *reply)[:max_seq_len]  # a reply that is cut loses its end token: it did not end there
    return Example(ids, len(prompt)) if len(ids) > len(prompt) else None


def load_examples(
    encoder: PromptEncoder,
    folder: Path,
    split: Split,
    *,
    system: str,
    max_seq_len: int,
    limit: int | None = None,
) -> list[Example]:
    """One split as ids, in the file's order; at most `limit`, spread evenly over the file."""
    encoded = (
        encode_sample(encoder, sample, system=system, max_seq_len=max_seq_len)
        for sample in read_samples(folder, split)
    )
    examples = [example for example in encoded if example is not None]
    if limit is None or len(examples) <= limit:
        return examples
    return [examples[i * len(examples) // limit] for i in range(limit)]


def batch_of_step(examples: Sequence[Example], step: int, *, batch_size: int, seed: int) -> list[Example]:
    """The samples of one optimizer step. Each epoch shuffles anew; samples of like length meet in a batch."""
    batches_per_epoch = -(-len(examples) // batch_size)
    epoch, position = divmod(step, batches_per_epoch)
    rng = random.Random(f"{seed}/{epoch}")  # noqa: S311  an order, not a secret
    order = list(range(len(examples)))
    rng.shuffle(order)
    bucket = batch_size * BATCHES_PER_BUCKET
    by_length: list[int] = []
    for start in range(0, len(order), bucket):
        by_length += sorted(order[start : start + bucket], key=lambda i: len(examples[i]))
    batches = [by_length[start : start + batch_size] for start in range(0, len(order), batch_size)]
    rng.shuffle(batches)  # else every bucket would go from short to long
    return [examples[i] for i in batches[position]]


def micro_batches(examples: Sequence[Example], *, tokens: int, device: str = "cpu") -> Iterator[MicroBatch]:
    """Cut a batch, sorted by length, into forward passes of at most `tokens` padded tokens (one sample at least)."""
    rest = sorted(examples, key=len)
    while rest:
        count = 1
        while count < len(rest) and (count + 1) * (len(rest[count]) - 1) <= tokens:
            count += 1
        yield _pad(rest[:count], device)
        rest = rest[count:]


def _pad(examples: Sequence[Example], device: str) -> MicroBatch:
    lengths = tuple(len(example) - 1 for example in examples)
    width = max(lengths)
    tokens = torch.zeros(len(examples), width, dtype=torch.long)
    targets = torch.full((len(examples), width), IGNORE, dtype=torch.long)
    for row, example in enumerate(examples):
        ids = torch.tensor(example.ids)
        tokens[row, : lengths[row]] = ids[:-1]
        first = max(example.prompt_length, 1)  # the first token of all follows nothing
        targets[row, first - 1 : lengths[row]] = ids[first:]
    return MicroBatch(tokens.to(device), targets.to(device), lengths, shared_length(examples))


def shared_length(examples: Sequence[Example]) -> int:
    """How many first tokens all of them have in common, before the first one that foretells a word of the persona's."""
    first, limit = examples[0].ids, min(example.prompt_length for example in examples) - 1
    for example in examples[1:]:
        same = (i for i in range(limit) if example.ids[i] != first[i])
        limit = next(same, limit)
    return max(0, limit) if len(examples) > 1 else 0
