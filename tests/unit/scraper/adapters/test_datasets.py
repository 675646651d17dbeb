"""A corpus on disk → a dataset on disk: the same bytes each time, whatever the shards' sizes."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from doppel.basemodel.prompt import PromptEncoder
from doppel.basemodel.tiny import write_tiny
from playground.synthetic import make_workspace
from proto.artifacts import CorpusManifest, ShardEntry
from proto.conversation import Message, Person
from proto.dataset import DatasetCard, DatasetSettings
from proto.errors import ArtifactCorrupt, DatasetTooSmall
from services.scraper.adapters.card_page import render_page
from services.scraper.adapters.datasets import Cut, Order, cut_dataset
from services.scraper.adapters.shards import write_lines
from services.scraper.adapters.work import Stopped, Work

SETTINGS = DatasetSettings(
    days=0, max_samples=20_000, channel_samples=5_000, min_characters=12, context_tokens=256, context_messages=24,
    base_model="tiny", base_model_sha256="0" * 64,
)  # fmt: skip
ADA = Person(user_id="U0ADA", handle="ada", display_name="Ada <b>")


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> PromptEncoder:
    folder = tmp_path_factory.mktemp("datasets") / "tiny"
    write_tiny(folder)
    return PromptEncoder.from_folder(folder)


@pytest.fixture(scope="session")
def history() -> dict[str, list[Message]]:
    """The synthetic workspace's public channels, in a corpus's order."""
    workspace = make_workspace(7, now=1_780_000_000, message_count=900)
    found: dict[str, list[Message]] = {}
    for channel in workspace.channels:
        if channel.kind != "public":
            continue
        said = [
            Message(
                channel_id=channel.id,
                ts=message["ts"],
                thread_ts=message.get("thread_ts"),
                user_id=message["user"],
                text=message["text"],
            )
            for message in channel.messages
            if message.get("user") and message.get("subtype") in (None, "thread_broadcast")
        ]
        found[channel.id] = sorted(said, key=lambda m: (m.thread_ts or m.ts, m.ts))
    return found


def cut(
    folder: Path,
    history: dict[str, list[Message]],
    encoder: PromptEncoder,
    *,
    shard: int = 100_000,
    **settings: int,
) -> Cut:
    """Write shards of so many messages, and cut Ada's dataset from them."""
    folder.mkdir()
    entries: list[ShardEntry] = []
    paths: list[Path] = []
    for channel_id, messages in sorted(history.items()):
        for start in range(0, len(messages), shard):
            part = messages[start : start + shard]
            path = folder / f"{channel_id}-{start:06d}.jsonl.zst"
            entry = write_lines(
                path, path.name, (m.model_dump_json(exclude_none=True).encode() for m in part)
            )
            paths.append(path)
            latest = max(m.ts for m in part)
            entries.append(
                ShardEntry(
                    **entry.model_dump(), channel_id=channel_id, message_count=len(part), latest_ts=latest
                )
            )
    manifest = CorpusManifest(
        created_at=datetime.now(UTC), files=(), corpus_id=uuid4(), team_id="T0DOPPEL", source="export",
        shards=tuple(entries), channels={"C0ENG": "eng <$&>"}, message_count=sum(e.message_count for e in entries),
        person_count=1,
    )  # fmt: skip
    order = Order(ADA, SETTINGS.model_copy(update=settings), 40)
    return cut_dataset(paths, manifest, people(), order, encoder, folder, Work())


@pytest.fixture(scope="session")
def once(
    tmp_path_factory: pytest.TempPathFactory, history: dict[str, list[Message]], encoder: PromptEncoder
) -> Cut:
    """Ada's dataset under default settings; read only."""
    return cut(tmp_path_factory.mktemp("once") / "one", history, encoder)


def people() -> Sequence[Person]:
    return [
        ADA,
        Person(user_id="U0BRAM", display_name="Bram"),
        Person(user_id="U0CHIYO", display_name="Chiyo"),
    ]


def test_the_same_history_gives_the_same_bytes_however_it_is_cut_into_shards(
    tmp_path: Path, history: dict[str, list[Message]], encoder: PromptEncoder, once: Cut
) -> None:
    one = once
    two = cut(tmp_path / "two", history, encoder, shard=37)
    assert one.files == two.files
    assert one.card == two.card
    assert one.samples.total >= 100
    for entry in one.files:
        assert (one.folder / entry.name).read_bytes() == (tmp_path / "two" / entry.name).read_bytes()


def test_other_settings_give_another_hash(
    tmp_path: Path, history: dict[str, list[Message]], encoder: PromptEncoder, once: Cut
) -> None:
    one = once
    two = cut(tmp_path / "two", history, encoder, context_tokens=250)
    assert one.card.content_sha256 != two.card.content_sha256


def test_the_original_s_limits_hold(
    tmp_path: Path, history: dict[str, list[Message]], encoder: PromptEncoder
) -> None:
    found = cut(
        tmp_path / "one", history, encoder, days=40, max_samples=60, channel_samples=20, min_characters=50
    )
    assert found.samples.total <= 60
    assert all(channel.sample_count <= 20 for channel in found.card.channels)
    assert found.card.summary.dropped["too_old"] > 0


def test_a_refusal_names_the_largest_reasons(
    tmp_path: Path, history: dict[str, list[Message]], encoder: PromptEncoder
) -> None:
    with pytest.raises(DatasetTooSmall, match="too short"):
        cut(tmp_path / "one", history, encoder, min_characters=3_000)


def test_the_page_is_whole_and_escapes_every_name(once: Cut) -> None:
    page = (once.folder / "card.html").read_text()
    card = DatasetCard.model_validate_json((once.folder / "card.json").read_bytes())
    assert page == render_page(card, ADA.name)
    assert "Ada &lt;b&gt;" in page
    assert "eng &lt;$&amp;&gt;" in page
    assert "<script" not in page
    assert "src=" not in page


def test_an_empty_card_still_has_a_page(once: Cut) -> None:
    card = once.card
    bare = card.model_dump() | {"splits": {}, "channels": (), "months": {}, "hours": (0,) * 24}
    bare["summary"] = {}
    assert json.loads(DatasetCard.model_validate(bare).model_dump_json())["summary"]["sample_count"] == 0
    assert "<svg" in render_page(DatasetCard.model_validate(bare), "x")


def test_cutting_stops_when_asked_to(tmp_path: Path, once: Cut, encoder: PromptEncoder) -> None:
    paths = sorted(once.folder.glob("C0*.zst"))
    shards = tuple(
        ShardEntry(name=p.name, size_bytes=1, sha256="0" * 64, channel_id=p.name[:5], message_count=1)
        for p in paths
    )
    manifest = CorpusManifest(
        created_at=datetime.now(UTC), files=(), corpus_id=uuid4(), team_id="T0DOPPEL", source="export",
        shards=shards, message_count=1, person_count=1,
    )  # fmt: skip
    work = Work()
    work.stop()
    with pytest.raises(Stopped):
        cut_dataset(paths, manifest, people(), Order(ADA, SETTINGS, 1), encoder, tmp_path, work)


def test_a_damaged_shard_is_said_to_be_one(tmp_path: Path, encoder: PromptEncoder) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    path = folder / "C0ENG.jsonl.zst"
    entry = write_lines(path, path.name, [b'{"user_id":"U0ADA","channel_id":3}'])
    shard = ShardEntry(**entry.model_dump(), channel_id="C0ENG", message_count=1)
    manifest = CorpusManifest(
        created_at=datetime.now(UTC), files=(), corpus_id=uuid4(), team_id="T0DOPPEL", source="export",
        shards=(shard,), message_count=1, person_count=1,
    )  # fmt: skip
    with pytest.raises(ArtifactCorrupt):
        cut_dataset([path], manifest, people(), Order(ADA, SETTINGS, 1), encoder, folder, Work())
