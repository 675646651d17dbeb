"""A real, annotated history as a corpus: the `ubuntu-irc` export, where it is present."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from proto.artifacts import PEOPLE_FILE, CorpusManifest
from proto.conversation import Person
from services.scraper.adapters.building import build_from_export
from services.scraper.adapters.reading import read_said
from services.scraper.adapters.work import Work
from services.scraper.core.said import Said
from services.scraper.core.source import TsWindow

DATA: Final = Path(__file__).resolve().parents[2] / "shared/data/ubuntu-irc"
EXPORT: Final = "ubuntu-irc-slack-export.zip"
_PEOPLE: Final = TypeAdapter(list[Person])


@dataclass(frozen=True)
class History:
    """A corpus on disk."""

    manifest: CorpusManifest
    shards: tuple[Path, ...]
    people: list[Person]

    def messages(self) -> list[Said]:
        """All of them, in the order of time."""
        return sorted(read_said(self.shards, Work()), key=lambda said: said.at)


def read_history(data: Path, folder: Path) -> History:
    """Import the export into `folder`."""
    built = build_from_export(data / EXPORT, "T0UBUNTU", TsWindow(), folder, Work())
    manifest = CorpusManifest(
        created_at=datetime.now(UTC),
        files=(),
        corpus_id=UUID(int=0),
        team_id="T0UBUNTU",
        source="export",
        shards=built.shards,
        channels=built.channels,
        message_count=built.message_count,
        person_count=built.person_count,
    )
    people = _PEOPLE.validate_json((folder / PEOPLE_FILE).read_bytes())
    return History(manifest, tuple(folder / Path(shard.name).name for shard in built.shards), people)
