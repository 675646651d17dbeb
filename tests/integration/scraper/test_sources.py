"""What holds for every source alike: Slack's API, an export, a text file in two dresses."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from doppel.bus.broker import jetstream_of
from playground.app import start
from playground.settings import Settings as PlaygroundSettings
from playground.synthetic import make_workspace
from proto import subjects
from proto.generate import Cancel
from proto.scrape import Window
from services.scraper.core.timestamps import ts_key
from tests.integration.scraper.desk import TEAM, Desk
from tests.integration.scraper.histories import Way, as_said
from tests.support.desk import end
from tests.support.waiting import eventually

NOW = 1_780_000_000


@pytest.fixture(params=["api", "export", "jsonl", "csv"])
async def way(request: pytest.FixtureRequest) -> AsyncGenerator[Way]:
    """One of the ways in; the same workspace behind each."""
    workspace = make_workspace(7, now=NOW, message_count=400)
    if request.param != "api":
        yield Way(request.param, {}, workspace)
        return
    slack = await start(
        PlaygroundSettings(port=0, gateway_urls=["http://127.0.0.1:9"], nats_url=None), seed=workspace
    )
    settings: dict[str, object] = {
        "slack_api_url": f"{slack.url}/api/",
        "train_on_slack_api": "i-have-slacks-permission",
        "slack_rate_scale": 1000,
    }
    yield Way("api", settings, workspace, slack)
    await slack.stop()


async def begin(desk: Desk, way: Way) -> None:
    """A replica for that way."""
    await (desk.start(**way.settings) if way.settings else desk.serve())


async def progress_times(desk: Desk, request_id: UUID) -> tuple[list[datetime], datetime]:
    """When each progress was stored, and when the result was."""
    jetstream = jetstream_of(desk.client)
    state = (await jetstream.stream_info("FACTS")).state
    progress: list[datetime] = []
    result: datetime | None = None
    for sequence in range(state.first_seq, state.last_seq + 1):
        message = await jetstream.get_msg("FACTS", seq=sequence)
        if str(request_id) not in (message.data or b"").decode():
            continue
        stored = datetime.fromisoformat(str(message.time))
        if message.subject == subjects.SCRAPE_PROGRESS.name:
            progress.append(stored)
        elif message.subject == subjects.SCRAPE_RESULT.name:
            result = stored
    assert result is not None
    return progress, result


async def test_the_same_history_is_the_same_messages_and_nothing_private(desk: Desk, way: Way) -> None:
    await begin(desk, way)
    source = await way.bring(desk)

    result = await desk.result(await desk.ask(source))

    assert result.error is None
    assert result.source == source
    manifest, people, messages = await desk.corpus(result)
    assert as_said(messages) == way.truth()
    assert manifest.source == {"jsonl": "text", "csv": "text"}.get(way.name, way.name)
    text = " ".join(message.text for message in messages)
    assert "BOARD ONLY" not in text
    assert "surprise party" not in text
    by_id = {person.user_id: person for person in people}
    assert by_id["U0ADA"].may_be_persona
    assert result.message_count == len(messages)


async def test_the_upload_and_the_pages_are_gone_once_the_corpus_is_there(desk: Desk, way: Way) -> None:
    await begin(desk, way)
    await desk.result(await desk.ask(await way.bring(desk)))
    await eventually(desk.settled, what="the request is settled")
    keys = await desk.storage.list_keys(f"workspaces/{TEAM}/")
    assert not [key for key in keys if "/exports/" in key or "/pages/" in key]


async def test_a_window_leaves_out_what_lies_outside_it(desk: Desk, way: Way) -> None:
    await begin(desk, way)
    stamps = sorted({ts_key(str(each[1])) for each in way.truth()})
    oldest = datetime.fromtimestamp(int(stamps[len(stamps) // 3].partition(".")[0]), UTC)
    latest = datetime.fromtimestamp(int(stamps[2 * len(stamps) // 3].partition(".")[0]), UTC)

    source = await way.bring(desk)
    result = await desk.result(await desk.ask(source, window=Window(oldest=oldest, latest=latest)))

    _, _, messages = await desk.corpus(result)
    inside = [each for each in way.truth() if oldest.timestamp() < float(str(each[1])) <= latest.timestamp()]
    said = as_said(messages)
    if way.name == "api":  # threads whose root is older than the window are not asked for
        assert {each[1] for each in said} <= {each[1] for each in inside}
        inside = [each for each in inside if not each[2] or float(str(each[2])) > oldest.timestamp()]
        assert {each[1] for each in inside} <= {each[1] for each in said}
    else:
        assert said == inside


async def test_two_requests_share_one_reading_whoever_takes_them(desk: Desk, way: Way) -> None:
    for _ in range(3):
        process = await desk.start(**way.settings)
        assert process.returncode is None
    source = await way.bring(desk)

    asked = [await desk.ask(source) for _ in range(4)]

    results = [await desk.result(each) for each in asked]
    assert [result.error for result in results] == [None] * 4
    assert len({result.corpus_id for result in results}) == 1
    assert await desk.corpora() == 1


async def test_a_delivery_that_comes_again_repeats_its_result(desk: Desk, way: Way) -> None:
    await begin(desk, way)
    source, request_id = await way.bring(desk), uuid4()
    await desk.ask(source, request_id=request_id)
    first = await desk.result(request_id)

    await desk.ask(source, request_id=request_id)

    await eventually(desk.settled, what="the second delivery is settled")
    assert await desk.facts_of_results(request_id) == [first]
    assert await desk.corpora() == 1


async def test_the_same_history_brought_twice_changes_nothing(desk: Desk, way: Way) -> None:
    await begin(desk, way)
    first = await desk.result(await desk.ask(await way.bring(desk)))
    before = await desk.storage.list_keys(f"workspaces/{TEAM}/corpora/")

    later = [await desk.result(await desk.ask(await way.bring(desk))) for _ in range(2)]

    for again in later:
        assert again.error is None
        assert again.request_id != first.request_id
        assert (again.corpus_id, again.message_count) == (first.corpus_id, first.message_count)
    assert await desk.corpora() == 1
    await eventually(desk.settled, what="the request is settled")
    after = await desk.storage.list_keys(f"workspaces/{TEAM}/")
    assert [key for key in after if key.endswith("manifest.json")] == [
        key for key in before if key.endswith("manifest.json")
    ]
    assert not [key for key in after if "/exports/" in key]


async def test_a_replica_that_dies_midway_is_followed_by_one_that_finishes(desk: Desk, way: Way) -> None:
    await begin(desk, way)
    undisturbed = await desk.result(await desk.ask(await way.bring(desk)))
    expected = await desk.database.fetchval(
        "select content_sha256 from scraper.corpora where corpus_id = $1", undisturbed.corpus_id
    )
    await desk.database.execute("truncate scraper.scrapes, scraper.corpora, scraper.api_states cascade")
    await desk.start(**way.settings)
    async with desk.database.transaction():
        await desk.database.execute("lock table scraper.corpora in share mode")  # all goes on but the commit
        request_id = await desk.ask(await way.bring(desk))
        await eventually(desk.commits_waiting, what="everything is stored and the commit waits")
        for replica in desk.processes:
            replica.kill()
            await replica.wait()
    await desk.start(**way.settings)

    result = await desk.result(request_id)
    assert result.error is None
    row = await desk.database.fetchrow("select * from scraper.corpora")
    assert row is not None
    assert row["content_sha256"] == expected
    await eventually(desk.settled, what="the request is settled")
    assert len(await desk.facts_of_results(request_id)) == 1


async def test_a_request_stopped_before_anybody_takes_it_is_never_read(desk: Desk, way: Way) -> None:
    await begin(desk, way)
    source, request_id = await way.bring(desk), uuid4()

    await desk.bus.publish_core(f"scrape.cancel.{request_id}", Cancel())
    await eventually(lambda: desk.state_of(request_id), what="the cancel is noted", within_s=5)
    await desk.ask(source, request_id=request_id)

    result = await desk.result(request_id, within_s=10)
    assert result.error is not None
    assert result.error.code == "cancelled"
    await eventually(desk.settled, what="the request is settled")
    assert await desk.corpora() == 0


async def test_without_a_yes_nothing_is_read(desk: Desk, way: Way) -> None:
    await begin(desk, way)
    source = await way.bring(desk)

    result = await desk.result(await desk.ask(source, user_id="U0ADA"))

    assert result.error is not None
    assert result.error.code == "no_consent"
    assert await desk.corpora() == 0
    assert await desk.storage.list_keys(f"workspaces/{TEAM}/corpora/") == []
    if way.is_upload:
        assert await desk.storage.exists(source.partition(":")[2])


async def test_progress_comes_before_the_result_and_never_in_a_flood(desk: Desk, way: Way) -> None:
    await begin(desk, way)
    request_id = await desk.ask(await way.bring(desk))
    await desk.result(request_id)

    told, ended = await progress_times(desk, request_id)

    assert all(each <= ended for each in told)
    for early, late in pairwise(told[::2]):
        assert (late - early).total_seconds() > 0.8, "more than two a second"
    for progress in await desk.progress(request_id):
        assert progress.stage in ("reading", "writing", "cutting")
        assert progress.total == 0 or progress.step <= progress.total


async def test_what_then_train_asks_is_echoed(desk: Desk, way: Way) -> None:
    await desk.consent("U0ADA")
    replica = await desk.start(**way.settings, min_samples=5)
    result = await desk.result(await desk.ask(await way.bring(desk), user_id="U0ADA", then_train=True))
    assert result.error is None, result.error
    assert result.then_train
    assert result.requested_at is not None
    source = await desk.database.fetchval(
        "select source from scraper.datasets where dataset_id = $1", result.dataset_id
    )
    assert source == {"jsonl": "text", "csv": "text"}.get(way.name, way.name)
    await end(replica)
