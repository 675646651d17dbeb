"""What is in a dataset, who is not, and what its card says: on real servers."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from proto.artifacts import SPLITS, Split, model_pointer_key
from proto.conversation import Sample
from proto.dataset import DATASET_CARD_FILE, DATASET_PAGE_FILE, DatasetCard, DatasetOptions
from proto.scrape import ScrapeResult
from tests.integration.scraper.desk import Desk


async def imported(desk: Desk, export_zip: Path, user_id: str = "U0ADA", **fields: object) -> ScrapeResult:
    await desk.consent(user_id)
    await desk.result(await desk.ask(await desk.upload(export_zip)))
    return await desk.result(await desk.ask("corpus:latest", user_id=user_id, **fields))


async def doppel(desk: Desk, *arguments: str) -> dict[str, Any]:
    """The last line that the command prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "doppel",
        *arguments,
        env=dict(os.environ) | desk.servers.environment("reader"),  # noqa: TID251  a child of the test
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return json.loads(out.splitlines()[-1])


async def file_of(desk: Desk, result: ScrapeResult, name: str) -> str:
    manifest, _ = await desk.dataset(result)
    prefix = await desk.database.fetchval(
        "select prefix from scraper.datasets where dataset_id = $1", result.dataset_id
    )
    return (await desk.storage.get_bytes(f"{prefix}/{name}", sha256=manifest.file(name).sha256)).decode()


def words_of(splits: dict[Split, list[Sample]]) -> str:
    return "\n".join(sample.model_dump_json() for samples in splits.values() for sample in samples)


async def test_the_card_counts_what_the_dataset_holds_and_quotes_nobody(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    result = await imported(desk, export_zip)
    assert result.error is None
    assert result.summary is not None

    card = DatasetCard.model_validate_json(await file_of(desk, result, DATASET_CARD_FILE))
    page = await file_of(desk, result, DATASET_PAGE_FILE)
    _, splits = await desk.dataset(result)

    samples = [sample for split in SPLITS for sample in splits[split]]
    assert card.summary == result.summary
    assert card.content_sha256 == result.dataset_sha256
    assert card.summary.sample_count == len(samples) == sum(card.hours) == sum(card.months.values())
    assert sum(channel.sample_count for channel in card.channels) == len(samples)
    assert {split: counted.sample_count for split, counted in card.splits.items()} == {
        split: len(splits[split]) for split in SPLITS
    }
    assert page.count("<svg") == 10
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    for sample in samples:
        assert sample.response not in page
    row = await desk.database.fetchrow(
        "select summary, content_sha256 from scraper.datasets where dataset_id = $1", result.dataset_id
    )
    assert row is not None
    assert json.loads(row["summary"]) == result.summary.model_dump(mode="json")
    assert row["content_sha256"] == result.dataset_sha256


async def test_splits_follow_each_other_in_time_and_share_no_thread(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    result = await imported(desk, export_zip)
    _, splits = await desk.dataset(result)
    talks = [{sample.conversation for sample in splits[split]} for split in SPLITS]
    assert len(set[str]().union(*talks)) == sum(map(len, talks))
    oldest = [min(float(sample.ts) for sample in splits[split]) for split in SPLITS]
    assert oldest == sorted(oldest)
    assert min(len(splits["validation"]), len(splits["test"])) >= 8


async def test_a_request_may_wish_for_the_limits_of_the_original(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    wishes = DatasetOptions(days=365, max_samples=60, channel_samples=25, min_characters=40)
    result = await imported(desk, export_zip, dataset=wishes)
    assert result.error is None
    assert result.summary is not None
    manifest, splits = await desk.dataset(result)
    assert manifest.settings is not None
    assert (
        manifest.settings.model_dump() | wishes.model_dump(exclude_none=True)
        == manifest.settings.model_dump()
    )
    samples = [sample for split in SPLITS for sample in splits[split]]
    assert len(samples) <= 60
    assert all(len(sample.response) >= 40 for sample in samples)
    of_channels = [sample.channel_id for sample in samples]
    assert max(of_channels.count(channel) for channel in set(of_channels)) <= 25
    assert result.summary.dropped["over_cap"] + result.summary.dropped["over_channel_cap"] > 0


async def test_who_says_no_is_not_even_context(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    first = await imported(desk, export_zip)
    _, before = await desk.dataset(first)
    assert "Bram: " in words_of(before)

    await desk.consent("U0BRAM", granted=False)
    second = await desk.result(await desk.ask("corpus:latest", user_id="U0ADA"))

    manifest, after = await desk.dataset(second)
    assert "Bram: " not in words_of(after)
    assert "@Bram" not in words_of(after)
    assert manifest.opted_out_count == 1
    assert first.dataset_sha256 != second.dataset_sha256


async def test_a_refusal_says_what_was_left_out(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    result = await imported(desk, export_zip, dataset=DatasetOptions(min_characters=5_000))
    assert result.error is not None
    assert result.error.code == "dataset_too_small"
    assert "too short" in result.error.message


async def test_without_a_base_model_the_corpus_stays_and_the_request_says_what_is_missing(
    desk: Desk, export_zip: Path
) -> None:
    await desk.start(base_model="not-prepared")
    result = await imported(desk, export_zip)
    assert result.error is not None
    assert result.error.code == "base_model_missing"
    assert not await desk.storage.exists(model_pointer_key("not-prepared"))
    assert await desk.database.fetchval("select count(*) from scraper.corpora") == 1


async def test_the_command_shows_the_card_and_samples_only_when_asked(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    result = await imported(desk, export_zip)
    _, splits = await desk.dataset(result)
    responses = {sample.response for split in SPLITS for sample in splits[split]}
    page = desk.folder / "card.html"

    shown = await doppel(desk, "dataset", "show", "@ada", "--page", str(page), "--json")
    assert shown["card"]["summary"]["sample_count"] == len(responses)
    assert shown["samples"] == []
    assert page.read_text() == await file_of(desk, result, DATASET_PAGE_FILE)

    sampled = await doppel(desk, "dataset", "show", "U0ADA", "--sample", "20", "--json")
    assert len(sampled["samples"]) == 20
    assert {sample["response"] for sample in sampled["samples"]} <= responses
    times = [float(sample["ts"]) for sample in sampled["samples"]]
    assert times == sorted(times)

    listed = await doppel(desk, "dataset", "list", "--json")
    assert [each["user_id"] for each in listed["datasets"]] == ["U0ADA"]

    missing = await doppel(desk, "dataset", "show", "@bram", "--json")
    assert missing["error"]["code"] == "dataset_missing"
