"""Every `/doppel …`: what it does, who may, and what the asker sees. Each right is asked of Slack at that moment."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID, uuid4

import pytest

from doppel.storage import Storage
from proto import subjects
from proto.generate import Cancel
from proto.scrape import ScrapeResult
from proto.train import TrainProgress
from tests.integration.gateway.rig import Rig
from tests.integration.gateway.test_training import bot_said, said_to
from tests.integration.gateway.trainings import (
    PICTURE,
    TEAM,
    Run,
    agree,
    begin,
    ended,
    insert_run,
    store_report,
)
from tests.support.story import text_of
from tests.support.waiting import eventually

ADA, GRACE = "U0ADA", "U0GRACE"
TABLES = (
    "gateway.active_adapters", "gateway.voices", "gateway.rules", "gateway.trainings", "gateway.consents",
    "trainer.runs",
)  # fmt: skip


@pytest.fixture(autouse=True)
async def tidy(rig: Rig) -> AsyncGenerator[None]:
    """Nobody's persona, no rules and no choices before and after each of these."""

    async def clean() -> None:
        for table in TABLES:
            await rig.change(f"delete from {table} where team_id = $1", TEAM)

    await clean()
    yield
    await clean()


async def persona(rig: Rig, user_id: str, name: str) -> Run:
    """Somebody with a version that answers."""
    await agree(rig, user_id, name)
    run = Run(uuid4(), uuid4(), user_id)
    await insert_run(rig, run)
    await rig.tell(subjects.TRAIN_RESULT, ended(run), f"{run.run_id}/published")
    await answers_with(rig, run)
    return run


async def answers_with(rig: Rig, run: Run) -> None:
    async def active() -> bool:
        query = "select run_id from gateway.active_adapters where team_id = $1 and user_id = $2"
        row = await rig.row(query, TEAM, run.user_id)
        return row is not None and row["run_id"] == run.run_id

    await eventually(active, what=f"{run.user_id} answers with {run.run_id}", within_s=15)


async def command(rig: Rig, user: str, channel: str, text: str, words: str) -> str:
    """Type it, and wait for these words to come back; what earlier commands said does not count."""
    seen = await ephemerals(rig, user, channel)
    await rig.workspace.command(user, channel, text)

    async def told() -> str | None:
        found = (await ephemerals(rig, user, channel))[len(seen) :]
        return next((each for each in found if words in each), None)

    try:
        return await eventually(told, what=f"{words!r} to {user} after {text!r}", within_s=15)
    except AssertionError as error:
        raise AssertionError(f"{error}: {(await ephemerals(rig, user, channel))[len(seen) :]}") from error


async def ephemerals(rig: Rig, user: str, channel: str) -> list[str]:
    found = await rig.workspace.ask("GET", "messages", channel=channel, viewer=user)
    return [text_of(each) for each in found["ephemerals"]]


async def test_a_report_comes_by_dm_to_the_person_and_to_an_admin_only(rig: Rig, storage: Storage) -> None:
    older, run = [Run(uuid4(), uuid4(), GRACE) for _ in range(2)]
    await agree(rig, GRACE, "Grace")
    await insert_run(rig, older, await store_report(storage, older))
    await insert_run(rig, run, await store_report(storage, run), state="rejected")
    await command(rig, "dev", "general", "report <@U0GRACE>", "Only @Grace or an admin")
    before = len(await rig.workspace.bot_messages("@grace"))
    await command(rig, "grace", "general", "report", "as a direct message")

    async def whole() -> list[dict[str, Any]] | None:
        found = (await rig.workspace.bot_messages("@grace"))[before:]
        return found if len(found) == 3 else None

    numbers, samples, picture = await eventually(whole, what="the report by DM", within_s=20)
    assert "5 of 5 checks are good" in numbers["text"]
    assert "generated gull" in text_of(samples)
    assert picture["files"][0]["size"] == len(PICTURE)
    await command(rig, "bram", "general", "report @grace", "as a direct message")
    await bot_said(rig, "@bram", "5 of 5 checks are good")
    await command(rig, "bram", "general", "report @dev", "no voice report")
    await command(rig, "grace", "general", "consent no", "You said no")
    await command(rig, "bram", "general", "report @grace", "has not agreed")
    await rig.settled()


async def test_the_version_before_answers_again_on_the_word_of_its_person_or_an_admin(rig: Rig) -> None:
    first = await persona(rig, GRACE, "Grace")
    second = await persona(rig, GRACE, "Grace")
    await persona(rig, GRACE, "Grace")
    await command(rig, "bram", "general", "rollback @grace", f"run {str(second.run_id)[:8]}")
    await bot_said(rig, "@grace", "<@U0BRAM> let the version of")
    await command(rig, "dev", "general", "rollback @grace", "Only @Grace or an admin")
    await answers_with(rig, second)
    await command(rig, "grace", "general", "rollback me", f"run {str(first.run_id)[:8]}")
    await answers_with(rig, first)
    await command(rig, "bram", "general", "rollback @grace", "no version before the active one")
    assert (await rig.fact("persona.result", run_id=str(first.run_id)))["action"] == "rollback"


async def test_a_persona_answers_where_it_was_switched_on(rig: Rig) -> None:
    await persona(rig, ADA, "Ada")
    await persona(rig, GRACE, "Grace")
    await command(rig, "dev", "random", "switch @ada here", "Only @Ada or an admin")
    await command(rig, "ada", "random", "switch me here", "@Ada answers in this channel")
    assert await who_answers(rig, "random", "limpets") == ADA
    assert await who_answers(rig, "eng", "whelks") == GRACE
    await command(rig, "bram", "eng", "switch off", "answer in this workspace as myself")
    assert await who_answers(rig, "eng", "cockles") is None
    assert await who_answers(rig, "random", "mussels") == ADA
    assert await who_answers(rig, "eng", "oysters", "as <@U0GRACE> ") == GRACE
    listed = await command(rig, "dev", "random", "list", "Who names nobody hears")
    assert "Ada in this channel, me elsewhere" in listed
    await command(rig, "grace", "eng", "switch default", "Only an admin")
    await command(rig, "bram", "eng", "switch default", "trained last answers")
    assert await who_answers(rig, "eng", "scallops") == GRACE
    await command(rig, "ada", "random", "consent no", "said no")
    assert await who_answers(rig, "random", "winkles") == GRACE
    await command(rig, "bram", "eng", "switch @ada", "has not agreed")


async def who_answers(rig: Rig, channel: str, word: str, prefix: str = "") -> str | None:
    await rig.workspace.say("dev", channel, f"@doppel {prefix}{word}?")
    request = await rig.engine.question_about(word)
    await rig.engine.answer(request, f"about {word}")
    return request.user_id


async def test_a_persona_answers_the_asker_alone(rig: Rig) -> None:
    run = await persona(rig, GRACE, "Grace")
    shown = len(await rig.workspace.messages("general"))
    await rig.workspace.command("dev", "general", "ask @grace, how are <@U0ADA>'s terns?")
    request = await rig.engine.question_about("terns")
    assert (request.user_id, request.adapter and request.adapter.run_id) == (GRACE, run.run_id)
    assert request.turns[-1].content == "Dev: how are @Ada's terns?"
    await rig.engine.answer(request, "fine <!channel>\n\nreally")
    await said_to(rig, "dev", "Grace (AI): fine", "general")
    (told,) = [each for each in await ephemerals(rig, "dev", "general") if "really" in each]
    assert "AI-generated in Grace" in told
    assert "<!channel>" not in told
    assert not [each for each in await ephemerals(rig, "ada", "general") if "really" in each]
    assert len(await rig.workspace.messages("general")) == shown
    await command(rig, "dev", "general", "ask @chiyo hello?", "has not agreed")
    await command(rig, "dev", "general", "ask @nobody-there hello?", "don't know who nobody-there")


async def test_guests_hear_personas_only_where_an_admin_allows_it(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    await command(rig, "gil", "support", "ask @grace hm?", "answer members of this workspace only")
    await command(rig, "gil", "support", "train @dev", "can't have anybody trained")
    await command(rig, "dev", "general", "limits guests on", "Only an admin")
    await command(rig, "bram", "general", "limits guests on", "hear personas: yes")
    await rig.workspace.command("gil", "support", "ask @grace plovers?")
    request = await rig.engine.question_about("plovers")
    assert request.user_id == GRACE
    await rig.engine.answer(request, "many")
    await said_to(rig, "gil", "Grace (AI): many", "support")
    await rig.workspace.say("gil", "general", "@doppel dunlins?")
    request = await rig.engine.question_about("dunlins")
    assert request.user_id == GRACE
    await rig.engine.answer(request, "few")


async def test_a_workspaces_limits_hold(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    await command(rig, "bram", "general", "limits personas 1", "Personas: 1 of 1")
    await command(rig, "dev", "general", "train @chiyo", "may have 1 personas, and has them")
    await command(rig, "bram", "general", "limits personas default", "Personas: 1 of 50")
    await command(rig, "bram", "general", "limits runs 1", "Trainings in 24 hours: 0 of 1")
    await begin(rig, "dev", "eng", GRACE)
    await command(rig, "dev", "general", "train @chiyo", "1 trainings in 24 hours, and has used them")
    await command(rig, "bram", "general", "limits train admins", "trained: admins only")
    await command(rig, "dev", "general", "train @chiyo", "Only admins may have somebody trained")
    await command(rig, "bram", "general", "limits train self", "everybody themselves")
    await command(rig, "dev", "general", "train @chiyo", "only themselves trained")


async def test_what_is_more_than_a_minute_allows_waits(rig: Rig) -> None:
    await rig.change(
        "update gateway.outbox set asked_at = asked_at - interval '2 minutes' where team_id = $1", TEAM
    )
    await command(rig, "bram", "general", "limits replies 1", "at most 1;")
    await rig.workspace.say("dev", "general", "@doppel godwits?")
    first = await rig.engine.question_about("godwits")
    await rig.engine.answer(first, "long bills")
    asked = await rig.workspace.say("dev", "general", "@doppel curlews?")

    async def waits() -> bool:
        row = await rig.row(
            "select asked_at, question from gateway.outbox where trigger_ts = $1", asked["ts"]
        )
        return row is not None and row["question"] is not None and row["asked_at"] is None

    await eventually(waits, what="the second question waits")
    assert await rig.engine.is_idle()
    await command(rig, "bram", "general", "limits replies default", "at most 600;")
    await rig.engine.answer(await rig.engine.question_about("curlews"), "longer ones")
    await rig.workspace.reply("general", asked["ts"], within_s=15)


async def test_a_training_is_stopped_and_stays_so(rig: Rig) -> None:
    await agree(rig, GRACE, "Grace")
    run = await begin(rig, "dev", "eng", GRACE)
    cancels: list[str] = []

    async def heard(message: Any) -> None:
        assert Cancel.model_validate_json(message.data).reason == "cancelled"
        cancels.append(message.subject)

    client = rig.engine.bus.client
    subscriptions = [await client.subscribe(f"{family}.cancel.*", cb=heard) for family in ("scrape", "train")]
    await client.flush()
    await command(rig, "chiyo", "eng", "cancel @grace", "Only whoever asked for a training")
    await command(rig, "dev", "eng", "cancel", "Stopped: the training of @Grace")
    await bot_said(rig, "eng", "<@U0GRACE> was stopped by <@U0DEV>")
    assert {f"scrape.cancel.{run.request_id}", f"train.cancel.{run.run_id}"} <= set(cancels)
    # Whoever has not heard it and goes on is told again, and nothing is trained after all.
    cancels.clear()
    step = TrainProgress(
        request_id=run.request_id,
        run_id=run.run_id,
        team_id=TEAM,
        user_id=GRACE,
        stage="training",
        step=5,
        total=9,
    )
    await rig.tell(subjects.TRAIN_PROGRESS, step, f"{run.run_id}/5")
    await eventually(lambda: told(cancels, run), what="the run is told again")
    result = ScrapeResult(
        request_id=run.request_id, team_id=TEAM, user_id=GRACE, then_train=True, dataset_id=uuid4()
    )
    await rig.tell(subjects.SCRAPE_RESULT, result, f"{run.request_id}/done")

    async def read() -> bool:
        info = await rig.engine.jetstream.consumer_info("FACTS", "gateway")
        return not info.num_pending and not info.num_ack_pending

    await eventually(read, what="every fact is read")
    assert not [
        each for each in await rig.facts("train.request") if UUID(each["request_id"]) == run.request_id
    ]
    await command(rig, "dev", "eng", "cancel", "no training under way")
    assert "was stopped" in text_of(await bot_said(rig, "eng", "<@U0GRACE>"))
    for subscription in subscriptions:
        await subscription.unsubscribe()


async def test_a_yes_after_the_training_was_stopped_starts_nothing(rig: Rig) -> None:
    await command(rig, "dev", "eng", "train @grace", "I have asked @Grace")
    question = await rig.workspace.consent_question("grace")
    await command(rig, "dev", "eng", "cancel", "Stopped: the training of @Grace")
    before = len(await rig.facts("scrape.request"))
    await rig.workspace.press("grace", "@grace", question["ts"], "consent_allow")
    assert (await bot_said(rig, "@grace", "You allowed me on"))["ts"] == question["ts"]
    assert len(await rig.facts("scrape.request")) == before
    await command(rig, "dev", "eng", "status", "Nobody is trained yet")


async def told(cancels: list[str], run: Run) -> bool:
    return f"train.cancel.{run.run_id}" in cancels


async def test_people_see_and_change_their_own_word(rig: Rig) -> None:
    await command(rig, "grace", "general", "consent", "neither yes nor no")
    row = (await rig.workspace.ask("GET", "messages", channel="general", viewer="grace"))["ephemerals"][-1]
    await rig.workspace.press("grace", "general", row["ts"], "consent_allow")
    await said_to(rig, "grace", "You allowed me", "general")
    assert not [each for each in await ephemerals(rig, "grace", "general") if "neither yes" in each]
    await insert_run(rig, run := Run(uuid4(), uuid4(), GRACE))
    await rig.tell(subjects.TRAIN_RESULT, ended(run), f"{run.run_id}/published")
    await answers_with(rig, run)
    await command(rig, "dev", "general", "status", "Trained: Grace")
    await command(rig, "grace", "general", "consent no", "You said no")
    assert not await rig.row("select true from gateway.active_adapters where user_id = $1", GRACE)
    await command(rig, "dev", "general", "status", "Nobody is trained yet")
