"""Reads an export the way the scraper does, and what came out of it."""

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from proto.conversation import Message, Person
from services.scraper.adapters.building import Built, build_from_export
from services.scraper.adapters.shards import read_lines
from services.scraper.adapters.work import Work
from services.scraper.core.source import TsWindow

_PEOPLE: TypeAdapter[list[Person]] = TypeAdapter(list[Person])


@dataclass(frozen=True)
class Corpus:
    """What an export became, in memory."""

    people: list[Person]
    messages: list[Message]
    hashes: dict[str, str]
    dropped: dict[str, int]
    built: Built


def instant(ts: str) -> tuple[int, int]:
    """A timestamp as numbers."""
    seconds, fraction = ts.split(".")
    return int(seconds), int(fraction.ljust(9, "0"))


def read(path: Path, team_id: str, window: TsWindow | None = None, workers: int | None = None) -> Corpus:
    """Read it, in so many other processes, and check every file against its entry. Raises ExportInvalid."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        built = build_from_export(path, team_id, window or TsWindow(), folder, Work(), workers=workers)
        hashes: dict[str, str] = {}
        messages: list[Message] = []
        for shard in built.shards:
            file = folder / shard.name.rpartition("/")[2]
            inside = list(read_lines(file, Message))
            assert shard.message_count == len(inside)
            assert {message.channel_id for message in inside} == {shard.channel_id}
            times = [message.ts for message in inside]
            assert (shard.oldest_ts, shard.latest_ts) == (min(times, key=instant), max(times, key=instant))
            messages += inside
            hashes[shard.name] = _checked(file, shard.sha256, shard.size_bytes)
        people_file = folder / built.people.name
        hashes[built.people.name] = _checked(people_file, built.people.sha256, built.people.size_bytes)
        people = _PEOPLE.validate_json(people_file.read_bytes())
        assert built.person_count == len(people)
        assert built.message_count == len(messages)
        assert len({shard.name for shard in built.shards}) == len(built.shards)
        json.dumps(built.dropped)
        return Corpus(people, messages, hashes, dict(sorted(built.dropped.items())), built)


def _checked(path: Path, sha256: str, size_bytes: int) -> str:
    data = path.read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (sha256, size_bytes)
    return sha256
