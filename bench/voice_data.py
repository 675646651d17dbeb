"""Ten people of a real chat, each with samples to learn from and samples that were written later."""

import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.real_history import read_history
from doppel.basemodel.prompt import PromptEncoder
from proto.artifacts import Split, split_file
from proto.conversation import Sample
from services.scraper.adapters.reading import read_said
from services.scraper.adapters.shards import write_lines
from services.scraper.adapters.work import Work
from services.scraper.core.people import names_of
from services.scraper.core.redact import Redactor
from services.scraper.core.rendering import Renderer
from services.scraper.core.replies import Channel, Directory
from services.scraper.core.samples import Candidate, Cutter, Shape
from services.scraper.core.segment import split_conversations
from services.scraper.settings import Settings

TRAIN, VALIDATION, TEST = 200, 24, 40
LEAST_CHARACTERS = 40  # what voices.json counts, too


@dataclass(frozen=True)
class Voice:
    """One person and the folder of their dataset."""

    user_id: str
    name: str
    folder: Path


def prepare(data: Path, folder: Path, count: int, encoder: PromptEncoder) -> list[Voice]:
    """Cut the datasets of the first `count` people, unless that was done before."""
    voices = json.loads((data / "voices.json").read_text())["voices"][:count]
    done = folder / f"people-{count}.json"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for user_id, samples in _cut(data, folder, [voice["user_id"] for voice in voices], encoder).items():
            through = next(voice["train_through"] for voice in voices if voice["user_id"] == user_id)
            _write(folder / user_id, samples, through)
        done.write_text("{}")
    return [Voice(voice["user_id"], voice["nick"], folder / voice["user_id"]) for voice in voices]


def _cut(data: Path, folder: Path, user_ids: list[str], encoder: PromptEncoder) -> dict[str, list[Sample]]:
    """All samples of each of them, by the product's settings but for the least length."""
    settings = Settings()
    options = settings.dataset_options
    assert options.context_messages is not None
    assert options.context_tokens is not None
    shape = Shape(LEAST_CHARACTERS, options.context_messages)
    cutters = {user_id: Cutter(user_id, shape) for user_id in user_ids}
    found: dict[str, list[Candidate]] = {user_id: [] for user_id in user_ids}
    with tempfile.TemporaryDirectory(dir=folder) as corpus:
        history = read_history(data, Path(corpus))
        channel = Channel(Directory.of(history.people))  # the export has one channel
        for conversation in split_conversations(read_said(history.shards, Work()), channel):
            speakers = {said.user_id for said in conversation.messages}
            for user_id in cutters:
                if user_id in speakers:
                    found[user_id] += cutters[user_id].cut(conversation)
    names, redactor = names_of(history.people), Redactor(settings.phone_region_codes)
    samples: dict[str, list[Sample]] = {}
    for user_id, candidates in found.items():
        renderer = Renderer(user_id, names, frozenset(), redactor, encoder, options.context_tokens)
        samples[user_id] = [rendered.sample for rendered in renderer.render(candidates)]
    return samples


def _write(folder: Path, samples: list[Sample], train_through: str) -> None:
    """The newest so many up to that day to learn from, the ones before them to stop by, later ones to measure."""
    border = (datetime.fromisoformat(train_through).replace(tzinfo=UTC) + timedelta(days=1)).timestamp()
    samples = sorted(
        (sample for sample in samples if len(sample.response) >= LEAST_CHARACTERS),
        key=lambda sample: float(sample.ts),
    )
    before = [sample for sample in samples if float(sample.ts) < border][-(TRAIN + VALIDATION) :]
    after = [sample for sample in samples if float(sample.ts) >= border]
    held = min(VALIDATION, len(before) // 5)
    splits: dict[Split, list[Sample]] = {
        "validation": before[:held],
        "train": before[held:],
        "test": [after[i * len(after) // TEST] for i in range(TEST)] if len(after) > TEST else after,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for split, chosen in splits.items():
        name = split_file(split)
        write_lines(folder / name, name, (sample.model_dump_json().encode() for sample in chosen))
