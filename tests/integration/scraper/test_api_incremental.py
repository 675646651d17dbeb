"""The next reading of a workspace asks for what is new, notices what changed, and gives one whole corpus."""

from datetime import UTC, datetime, timedelta

import pytest

from playground.app import Running
from playground.channel import Channel
from playground.model import SeedChannel
from tests.integration.scraper.apibox import Workspace, keys, read
from tests.integration.scraper.desk import Desk
from tests.support.desk import end


@pytest.fixture
async def box(desk: Desk, slack: Running, api: dict[str, object]) -> Workspace:
    await desk.install()
    await desk.start(**api)
    return Workspace(slack)


def add_channel(box: Workspace, channel_id: str, name: str) -> None:
    seed = SeedChannel(channel_id, name, "public", 1_700_000_000, "U0ADA", ["U0ADA"])
    box.slack.workspace.channels[channel_id] = Channel(seed)


async def texts(desk: Desk, box: Workspace, result_of: object) -> dict[tuple[str, str], str]:
    _, _, messages = await desk.corpus(result_of)  # type: ignore[arg-type]
    return {(message.channel_id, message.ts): message.text for message in messages}


async def test_a_second_reading_asks_for_no_more_than_what_is_new(desk: Desk, box: Workspace) -> None:
    first = await read(desk)
    assert await keys(desk, first) == {(channel, ts) for channel, ts, _ in box.truth()}
    await box.forget_calls()
    new = box.say("eng", "the release is out")
    fresh = box.say("random", "who wants coffee", days_ago=1)
    reply = box.say("random", "me", under=fresh)

    second = await read(desk)

    assert second.corpus_id != first.corpus_id
    found = await keys(desk, second)
    assert found == {(channel, ts) for channel, ts, _ in box.truth()}
    assert {("C0ENG", new), ("C0RANDOM", reply)} <= found
    assert await box.asked("conversations.history") == dict.fromkeys(
        ("C0DESIGN", "C0ENG", "C0GENERAL", "C0RANDOM", "C0SUPPORT"), 1
    )
    assert await box.asked("conversations.replies") == {"C0RANDOM": 1}
    assert await box.asked("conversations.join") == {}


async def test_nothing_new_is_the_same_corpus(desk: Desk, box: Workspace) -> None:
    first = await read(desk)
    second = await read(desk)
    assert second.corpus_id == first.corpus_id
    third = await read(desk)
    assert third.message_count == first.message_count


async def test_edits_and_deletions_inside_the_window_are_noticed(desk: Desk, box: Workspace) -> None:
    edited = box.say("eng", "ship it on friday", days_ago=3)
    deleted = box.say("eng", "never mind", days_ago=3)
    root = box.say("random", "lunch?", days_ago=4)
    kept, gone = (
        box.say("random", text, days_ago=days, under=root) for text, days in (("yes", 3), ("no", 2))
    )
    buried = box.say("design", "look at this", days_ago=5)
    under_it = box.say("design", "nice", days_ago=5, under=buried)
    lonely = box.say("support", "and here", days_ago=5)
    below = box.say("support", "hm", days_ago=5, under=lonely)
    await read(desk)
    box.edit("eng", edited, "ship it on monday")
    box.edit("random", kept, "yes, at one")
    workspace = box.slack.workspace
    workspace.delete(box.channel("eng"), deleted)
    workspace.delete(box.channel("random"), gone)
    workspace.delete(box.channel("design"), buried)  # leaves a stone, since somebody had replied
    workspace.delete(box.channel("support"), below)
    workspace.delete(box.channel("support"), lonely)

    found = await texts(desk, box, await read(desk))

    assert found["C0ENG", edited] == "ship it on monday"
    assert found["C0RANDOM", kept] == "yes, at one"
    assert ("C0DESIGN", under_it) in found
    for left in (("C0ENG", deleted), ("C0RANDOM", gone), ("C0DESIGN", buried), ("C0SUPPORT", lonely)):
        assert left not in found
    assert set(found) == {(channel, ts) for channel, ts, _ in box.truth()}


async def test_an_old_thread_that_lives_is_asked_and_a_dead_one_is_not(desk: Desk, box: Workspace) -> None:
    living = box.say("eng", "shall we move", days_ago=80)
    early = box.say("eng", "maybe", days_ago=79, under=living)
    before = box.say("eng", "soon", days_ago=3, under=living)
    dead = box.say("eng", "old news", days_ago=80)
    box.say("eng", "indeed", days_ago=79, under=dead)
    await read(desk)
    await box.forget_calls()
    box.slack.workspace.delete(box.channel("eng"), before)
    after = box.say("eng", "tomorrow", under=living)

    found = await keys(desk, await read(desk))

    assert {("C0ENG", ts) for ts in (living, early, after)} <= found
    assert ("C0ENG", before) not in found
    assert [call["request"]["ts"] for call in await box.calls("conversations.replies")] == [living]
    assert found == {(channel, ts) for channel, ts, _ in box.truth()}


async def test_channels_come_go_and_change_their_names(desk: Desk, box: Workspace) -> None:
    add_channel(box, "C0DOOMED", "doomed")
    add_channel(box, "C0OLD", "attic")
    for name in ("doomed", "attic"):
        box.say(name, "hello", days_ago=200)
    await read(desk)
    channels = box.slack.workspace.channels
    del channels["C0DOOMED"]
    channels["C0OLD"].is_archived = True
    channels["C0ENG"].name = "engineering"
    add_channel(box, "C0NEW", "brand-new")
    box.say("brand-new", "first post", days_ago=300)

    result = await read(desk)

    manifest, _, messages = await desk.corpus(result)
    found = {(message.channel_id, message.ts) for message in messages}
    assert found == {(channel, ts) for channel, ts, _ in box.truth()}
    assert "C0OLD" in {channel for channel, _ in found}
    assert manifest.channels["C0ENG"] == "engineering"
    assert "C0DOOMED" not in manifest.channels


async def test_an_archived_channel_that_we_left_keeps_what_was_read(desk: Desk, box: Workspace) -> None:
    add_channel(box, "C0OLD", "attic")
    there = box.say("attic", "hello", days_ago=2)
    await read(desk)
    attic = box.slack.workspace.channels["C0OLD"]
    attic.is_archived = True
    attic.members.remove("U0DOPPEL")
    box.say("eng", "news")

    for _ in range(2):
        assert ("C0OLD", there) in await keys(desk, await read(desk))
        box.say("eng", "more news")


async def test_a_request_with_a_window_reads_as_asked(desk: Desk, box: Workspace) -> None:
    recent = box.say("eng", "recent", days_ago=2)
    await read(desk)
    oldest = datetime.now(UTC) - timedelta(days=5)

    result = await read(desk, window={"oldest": oldest})

    assert await keys(desk, result) == {("C0ENG", recent)}
    whole = await keys(desk, await read(desk))
    assert whole == {(channel, ts) for channel, ts, _ in box.truth()}


async def test_everything_is_read_again_where_the_operator_says_so(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    box = Workspace(slack)
    await desk.install()
    await desk.start(**api, incremental=False)
    first = await read(desk)
    threads = await box.asked("conversations.replies")
    await box.forget_calls()
    assert (await read(desk)).corpus_id == first.corpus_id
    assert await box.asked("conversations.replies") == threads


async def test_an_opted_out_channel_is_neither_joined_nor_read_nor_kept(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    box = Workspace(slack)
    await desk.install()
    replica = await desk.start(**api, opt_out_channels="#Design, C0SUPPORT")

    result = await read(desk)

    assert {channel for channel, _ in await keys(desk, result)} == {"C0ENG", "C0GENERAL", "C0RANDOM"}
    for method in ("conversations.join", "conversations.history", "conversations.replies"):
        assert not (await box.asked(method)).keys() & {"C0DESIGN", "C0SUPPORT"}
    await end(replica)
    replica = await desk.start(**api)
    result = await read(desk)
    assert await keys(desk, result) == {(channel, ts) for channel, ts, _ in box.truth()}
    await end(replica)
    await desk.start(**api, opt_out_channels="general")
    box.say("eng", "news")
    assert "C0GENERAL" not in {channel for channel, _ in await keys(desk, await read(desk))}
