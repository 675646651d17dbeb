"""Ten people of a real chat, each with samples to learn from and samples that were written later."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import zstandard
from pydantic import TypeAdapter

from proto.artifacts import split_file
from proto.conversation import Message, Person, Sample
from services.scraper.adapters.building import build_from_export
from services.scraper.adapters.shards import read_lines
from services.scraper.adapters.work import Work
from services.scraper.core.people import names_of
from services.scraper.core.samples import Cutter
from services.scraper.core.segment import split_conversations
from services.scraper.core.source import TsWindow

TRAIN, VALIDATION, TEST = 200, 24, 40
LEAST_CHARACTERS = 40  # what voices.json counts, too
TEAM = "T0VOICE"


@dataclass(frozen=True)
class Voice:
    """One person and the folder of their dataset."""

    user_id: str
    name: str
    folder: Path


def prepare(data: Path, folder: Path, count: int) -> list[Voice]:
    """Cut the datasets of the first `count` people, unless that was done before."""
    voices = json.loads((data / "voices.json").read_text())["voices"][:count]
    done = folder / f"people-{count}.json"
    if not done.exists():
        _cut(data / "ubuntu-irc-slack-export.zip", folder, voices)
        done.write_text("{}")
    return [Voice(voice["user_id"], voice["nick"], folder / voice["user_id"]) for voice in voices]


def _cut(export: Path, folder: Path, voices: list[dict[str, str]]) -> None:
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "gathering.sqlite").unlink(missing_ok=True)
    built = build_from_export(export, TEAM, TsWindow(), corpus, Work())
    people = TypeAdapter(list[Person]).validate_json((corpus / "people.json").read_bytes())
    names = names_of(people)
    cutters = {voice["user_id"]: Cutter(voice["user_id"], names) for voice in voices}
    found: dict[str, list[Sample]] = {user_id: [] for user_id in cutters}
    for _, shards in groupby(built.shards, key=lambda shard: shard.channel_id):
        messages = (
            message for shard in shards for message in read_lines(corpus / Path(shard.name).name, Message)
        )
        for conversation in split_conversations(messages):
            speakers = {message.user_id for message in conversation.messages}
            for user_id in speakers & cutters.keys():
                found[user_id] += cutters[user_id].cut(conversation)
    for voice in voices:
        _write(folder / voice["user_id"], found[voice["user_id"]], voice["train_through"])


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
    splits = {
        "validation": before[:held],
        "train": before[held:],
        "test": [after[i * len(after) // TEST] for i in range(TEST)] if len(after) > TEST else after,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for split, chosen in splits.items():
        lines = "".join(sample.model_dump_json() + "\n" for sample in chosen)
        (folder / split_file(split)).write_bytes(zstandard.compress(lines.encode()))  # type: ignore[arg-type]
