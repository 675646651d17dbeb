"""A history becomes a corpus, and one person's words a dataset: on real servers, with the playground as Slack."""

import asyncio
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from playground.app import Running
from proto.artifacts import split_file
from proto.scrape import Window
from tests.integration.scraper.desk import TEAM, Desk
from tests.integration.scraper.histories import write_long_text
from tests.support.desk import ROOT
from tests.support.waiting import eventually

UBUNTU = ROOT.parent / "shared/data/ubuntu-irc/ubuntu-irc-slack-export.zip"


def public_truth(slack: Running) -> set[tuple[str, str]]:
    """(channel, ts) of every message in a public channel that is somebody's words."""
    return {
        (channel.id, message["ts"])
        for channel in slack.workspace.channels.values()
        if channel.kind == "public"
        for message in channel.everything()
        if message.get("subtype") != "channel_join"
    }


async def test_every_public_word_is_read_through_the_api_and_nothing_private(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await desk.install()
    await desk.start(**api)

    result = await desk.result(await desk.ask("api"))

    assert result.error is None
    manifest, people, messages = await desk.corpus(result)
    assert {(m.channel_id, m.ts) for m in messages} == public_truth(slack)
    assert result.message_count == len(messages) == manifest.message_count
    assert result.channel_count == 5
    assert "U0ADA" in {person.user_id for person in people}
    text = " ".join(message.text for message in messages)
    assert "BOARD ONLY" not in text
    assert "surprise party" not in text
    assert not [key for key in await desk.storage.list_keys("workspaces/") if "/pages/" in key]


async def test_a_person_who_said_yes_gets_a_dataset_of_their_own_words(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await desk.install()
    await desk.consent("U0ADA")
    await desk.start(**api)

    result = await desk.result(await desk.ask("api", user_id="U0ADA", then_train=True))

    assert result.error is None
    assert result.then_train
    assert result.requested_at is not None
    manifest, splits = await desk.dataset(result)
    assert manifest.person.user_id == "U0ADA"
    assert result.samples == manifest.samples
    assert min(len(splits["validation"]), len(splits["test"])) >= 8
    truth = {
        message["ts"]
        for channel in slack.workspace.channels.values()
        for message in channel.everything()
        if message.get("user") == "U0ADA"
    }
    for samples in splits.values():
        for sample in samples:
            assert sample.ts in truth
            assert sample.turns[-1].role == "user"
    corpus_keys = {sample.ts for samples in splits.values() for sample in samples}
    assert len(corpus_keys) == sum(len(samples) for samples in splits.values())


async def test_an_export_becomes_the_same_corpus_and_is_deleted_once_it_is_safe(
    desk: Desk, export_zip: Path
) -> None:
    await desk.serve()
    source = await desk.upload(export_zip)

    result = await desk.result(await desk.ask(source))

    assert result.error is None
    _, people, messages = await desk.corpus(result)
    with zipfile.ZipFile(export_zip) as archive:
        public = {channel["name"]: channel["id"] for channel in json.loads(archive.read("channels.json"))}
        truth = {
            (public[name.partition("/")[0]], message["ts"])
            for name in archive.namelist()
            if name.partition("/")[0] in public and name.endswith(".json")
            for message in json.loads(archive.read(name))
            if message.get("subtype") != "channel_join"
        }
    assert {(m.channel_id, m.ts) for m in messages} == truth
    assert len(people) > 6
    assert not await desk.storage.exists(source.partition(":")[2])


async def test_a_dataset_can_be_cut_again_from_the_newest_corpus_with_the_same_bytes(
    desk: Desk, export_zip: Path
) -> None:
    await desk.serve()
    await desk.consent("U0ADA")
    await desk.result(await desk.ask(await desk.upload(export_zip)))

    first = await desk.result(await desk.ask("corpus:latest", user_id="U0ADA"))
    second = await desk.result(await desk.ask("corpus:latest", user_id="U0ADA"))

    assert first.dataset_id != second.dataset_id
    one, _ = await desk.dataset(first)
    two, _ = await desk.dataset(second)
    assert [entry.sha256 for entry in one.files] == [entry.sha256 for entry in two.files]
    assert {entry.name for entry in one.files} == {
        *(split_file(s) for s in ("train", "validation", "test")),
        "card.json",
        "card.html",
    }
    assert one.content_sha256 == two.content_sha256 == first.dataset_sha256


async def test_a_request_that_comes_again_gets_its_result_again(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    request_id = uuid4()
    source = await desk.upload(export_zip)
    await desk.ask(source, request_id=request_id)
    first = await desk.result(request_id)

    await desk.ask(source, request_id=request_id)

    await eventually(desk.settled, what="the second delivery is settled")
    results = await desk.facts_of_results(request_id)
    assert results == [first]
    assert await desk.database.fetchval("select count(*) from scraper.corpora") == 1


async def test_two_requests_for_one_history_share_the_reading(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await desk.install()
    await desk.consent("U0ADA")
    await desk.consent("U0BRAM")
    await desk.start(**api)

    one = await desk.ask("api", user_id="U0ADA")
    two = await desk.ask("api", user_id="U0BRAM")

    first, second = await desk.result(one), await desk.result(two)
    assert first.error is None
    assert second.error is None
    assert first.corpus_id == second.corpus_id
    assert first.dataset_id != second.dataset_id
    assert await desk.database.fetchval("select count(*) from scraper.corpora") == 1


async def test_an_upload_stays_while_another_window_of_it_is_read(desk: Desk, tmp_path: Path) -> None:
    path = await asyncio.to_thread(write_long_text, tmp_path / "long.jsonl", 60_000)
    middle = datetime.fromtimestamp(1_700_000_000 + 2_000, UTC)
    await desk.serve()
    source = await desk.upload(path)

    asked = [await desk.ask(source, window=each) for each in (Window(latest=middle), Window(oldest=middle))]

    results = [await desk.result(each, within_s=120) for each in asked]
    assert [result.error for result in results] == [None, None]
    assert sum(result.message_count for result in results) == 60_000
    await eventually(desk.settled, what="both are settled")
    assert not await desk.storage.exists(source.partition(":")[2])


@pytest.mark.skipif(not UBUNTU.exists(), reason="the real export is not on this machine")
async def test_a_real_export_is_read_in_minutes_and_twice_changes_nothing(desk: Desk) -> None:
    team_id, user_id = "T0REAL", "U0NP5BZ7KTC"
    await desk.serve()
    await desk.consent(user_id, team_id=team_id)
    source = await desk.upload(UBUNTU, team_id)

    result = await desk.result(await desk.ask(source, team_id=team_id, user_id=user_id), within_s=300)

    assert result.error is None
    assert result.message_count == 240_965 - 16_910 - 2_691
    assert result.samples is not None
    assert result.samples.total > 1_000
    assert (await desk.progress(result.request_id))[-1].stage in ("writing", "cutting")
    assert TEAM not in str(await desk.storage.list_keys("workspaces/"))

    again = await desk.result(
        await desk.ask(await desk.upload(UBUNTU, team_id), team_id=team_id), within_s=300
    )
    assert (again.error, again.corpus_id) == (None, result.corpus_id)
    assert await desk.corpora() == 1
