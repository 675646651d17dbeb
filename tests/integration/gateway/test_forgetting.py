"""A person is forgotten: on their own word, an admin's or an operator's; what is ours goes at once and for good."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg

from doppel.storage import Storage
from proto import subjects
from proto.generate import GenerateResult
from proto.persona import PersonaPurged, PersonaRequest
from tests.integration.gateway.rig import Rig
from tests.integration.gateway.trainings import TEAM, agree, begin, ended, insert_run, store_report
from tests.support.story import buttons_of, text_of
from tests.support.waiting import eventually

CANARY = "xylophone-canary"


async def test_whoever_withdraws_is_forgotten_and_what_is_shown_of_them_goes(
    rig: Rig, storage: Storage
) -> None:
    person = "U0ELENA"
    await agree(rig, person, "Elena")
    run = await begin(rig, "bram", "random", person)
    ref = await store_report(storage, run)
    await insert_run(rig, run, ref)
    await rig.tell(subjects.TRAIN_RESULT, ended(run, report=ref), f"{run.request_id}/published")
    root = await progress_of(rig, "random", person)
    await eventually(lambda: shown(rig, "random", root), what="the report with its plot")

    await rig.workspace.command(
        "bram", "random", f"switch <@{person}>"
    )  # not his to decide: nothing comes of it
    await rig.workspace.command("elena", "random", "switch me here")
    await rig.change("update gateway.voices set user_id = $2 where team_id = $1", TEAM, person)
    asked = await rig.workspace.say("dev", "random", f"@doppel as <@{person}> {CANARY}?")
    question = await rig.engine.question_about(CANARY)
    assert question.user_id == person
    result = GenerateResult(request_id=uuid4(), team_id=TEAM, user_id=person, text=CANARY)
    await rig.tell(subjects.GENERATE_RESULT, result, f"{result.request_id}/done")

    await rig.workspace.command("elena", "random", "consent no")
    purge = await rig.fact("persona.purge", user_id=person)
    assert purge["round"] == 1
    # Who waited for an answer hears why there is none; nobody is imitated.
    reply = await rig.workspace.reply("random", asked["ts"], within_s=30)
    assert "has not agreed" in reply["text"]
    assert not reply.get("username")

    async def gone() -> bool:
        facts = [*await rig.facts("train.result"), *await rig.facts("generate.result")]
        return not [each for each in facts if each.get("user_id") == person]

    await eventually(gone, what="the streams say nothing of them", within_s=30)

    async def nothing_shown() -> bool:
        thread = await rig.workspace.bot_messages("random", root)
        plots = [f for m in thread for f in m.get("files") or [] if f.get("mode") != "tombstone"]
        return not plots and "generated gull" not in str(thread)

    await eventually(nothing_shown, what="report and plot are gone from Slack", within_s=30)
    await eventually(lambda: no_rows(rig, person), what="no row is theirs", within_s=30)
    ledger = await rig.row("select count(*) as n from gateway.consents where user_id = $1", person)
    assert ledger["n"] == 2


async def test_an_admin_forgets_somebody_by_a_button_and_nobody_else_may(rig: Rig) -> None:
    person = "U0FINN"
    await rig.workspace.command("dev", "eng", f"forget <@{person}>")
    await told(rig, "dev", "eng", "Only")
    await rig.workspace.command("bram", "eng", f"forget <@{person}>")
    question = await told(rig, "bram", "eng", "can't be undone")
    assert "forget_yes" in buttons_of(question)
    await rig.workspace.press("bram", "eng", question["ts"], "forget_yes")
    await told(rig, "bram", "eng", "is being forgotten")
    purge = await rig.row("select * from gateway.purges where user_id = $1", person)
    assert purge["reason"] == "forget"
    said = await rig.row("select * from gateway.consents where user_id = $1", person)
    assert (said["granted"], said["recorded_by"]) == (False, "admin")


async def test_a_no_of_somebody_who_never_said_yes_forgets_nothing(rig: Rig) -> None:
    await rig.workspace.command("chiyo", "eng", "consent no")
    await eventually(
        lambda: rig.row("select * from gateway.consents where user_id = 'U0CHIYO'"),
        what="the no",
        within_s=15,
    )
    assert await rig.row("select * from gateway.purges where user_id = 'U0CHIYO'") is None


async def test_rounds_go_out_until_every_service_has_answered_the_last(rig: Rig) -> None:
    request = PersonaRequest(request_id=uuid4(), team_id=TEAM, user_id="U0ROUND", action="forget")
    await rig.tell(subjects.PERSONA_REQUEST, request, str(request.request_id))
    result = await rig.fact("persona.result", request_id=str(request.request_id))
    assert result["action"] == "forget"
    for number in (1, 2, 3):
        purge = await rig.fact("persona.purge", user_id="U0ROUND", round=number)
        for service in ("scraper", "trainer"):
            answer = PersonaPurged(
                request_id=UUID(purge["request_id"]), round=number, team_id=TEAM, user_id="U0ROUND",
                service=service, left=1 if number == 3 and service == "scraper" else 0,
            )  # fmt: skip
            await rig.tell(subjects.PERSONA_PURGED, answer, f"{answer.request_id}/{number}/{service}")
        await answered(rig, answer.request_id, number)
        assert (await purge_row(rig, answer.request_id))["done_at"] is None or number == 3
        await hurry(rig, answer.request_id)
    # Something was left: one more round, and then it is over. A message told again changes nothing.
    purge = await rig.fact("persona.purge", user_id="U0ROUND", round=4)
    answer = PersonaPurged(
        request_id=UUID(purge["request_id"]), round=4, team_id=TEAM, user_id="U0ROUND", service="scraper"
    )
    await rig.tell(subjects.PERSONA_PURGED, answer, f"{answer.request_id}/4/scraper")

    async def over() -> bool:
        return (await purge_row(rig, answer.request_id))["done_at"] is not None

    await eventually(over, what="the purge is over", within_s=30)


async def progress_of(rig: Rig, channel: str, person: str) -> str:
    async def found() -> str | None:
        said = [m for m in await rig.workspace.bot_messages(channel) if person in text_of(m)]
        return next((m["ts"] for m in said if "ready" in text_of(m)), None)

    return await eventually(found, what="the progress message", within_s=30)


async def shown(rig: Rig, channel: str, root: str) -> bool:
    return any(m.get("files") for m in await rig.workspace.bot_messages(channel, root))


async def told(rig: Rig, user: str, channel: str, words: str) -> dict[str, Any]:
    """An ephemeral that this person sees."""

    async def seen() -> dict[str, Any] | None:
        answer = await rig.workspace.ask("GET", "messages", channel=channel, viewer=user, limit="5")
        return next((m for m in reversed(answer["ephemerals"]) if words in text_of(m)), None)

    return await eventually(seen, what=f"{words} to {user}", within_s=30)


async def no_rows(rig: Rig, person: str) -> bool:
    row = await rig.row(
        """select (select count(*) from gateway.active_adapters where user_id = $1)
                + (select count(*) from gateway.voices where user_id = $1)
                + (select count(*) from gateway.trainings where user_id = $1)
                + (select count(*) from gateway.personas where user_id = $1)
                + (select count(*) from gateway.outbox
                   where user_id = $1 and (kind <> 'reply' or body is not null or run_id is not null)) as n""",
        person,
    )
    return row["n"] == 0


async def purge_row(rig: Rig, purge_id: UUID) -> "asyncpg.Record":
    return await rig.row("select * from gateway.purges where purge_id = $1", purge_id)


async def answered(rig: Rig, purge_id: UUID, number: int) -> None:
    async def by_all() -> bool:
        row = await rig.row(
            """select (answers->'scraper'->>'round')::int + (answers->'trainer'->>'round')::int as n, round
               from gateway.purges where purge_id = $1""",
            purge_id,
        )
        return row["n"] == 2 * number and row["round"] >= number

    await eventually(by_all, what=f"both answered round {number}", within_s=30)


async def hurry(rig: Rig, purge_id: UUID) -> None:
    """The pause before the next round is over."""
    await rig.change("update gateway.purges set next_at = now() where purge_id = $1", purge_id)
