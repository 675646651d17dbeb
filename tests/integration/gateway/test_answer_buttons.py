"""What people do with an answer: thumbs, once more, and *this is not me*. Nothing in a press is believed."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest

from proto.errors import AdapterMissing
from tests.integration.gateway.answers import answered, elements, forge, press, replies, texts_become, told
from tests.integration.gateway.rig import Rig, request_of
from tests.integration.gateway.test_commands import ADA, GRACE, TABLES, command, persona
from tests.integration.gateway.test_training import bot_said
from tests.integration.gateway.trainings import TEAM
from tests.support.waiting import eventually

AGAIN, RATE, NOT_ME = "answer_again", "answer_rate", "not_me"


@pytest.fixture(autouse=True)
async def tidy(rig: Rig) -> AsyncGenerator[None]:
    """Nobody's persona and no choices before and after each of these."""

    async def clean() -> None:
        await rig.settled()
        for table in (*TABLES, "gateway.feedback"):
            await rig.change(f"delete from {table} where team_id = $1", TEAM)

    await clean()
    yield
    await clean()


async def verdicts(rig: Rig) -> list[tuple[str, str]]:
    row = await rig.row(
        "select coalesce(array_agg(rated_by || ' ' || verdict order by rated_by), '{}') as said from gateway.feedback"
    )
    return [tuple(each.split(" ")) for each in row["said"]]


async def become(rig: Rig, wanted: list[tuple[str, str]]) -> None:
    async def said() -> bool:
        return await verdicts(rig) == wanted

    await eventually(said, what=f"{wanted} was said", within_s=20)


async def test_a_thumb_is_kept_once_per_person_and_the_last_one_counts(rig: Rig) -> None:
    run = await persona(rig, GRACE, "Grace")
    (reply,), question = await answered(rig, "dev", "eng", "fulmars", "stiff wings")
    up, down = f"good:{question.request_id}", f"bad:{question.request_id}"
    await press(rig, "dev", reply, "eng", RATE, value=up)
    await become(rig, [("U0DEV", "good")])
    await press(rig, "ada", reply, "eng", RATE, value=up)
    await press(rig, "dev", reply, "eng", RATE, value=down)
    await become(rig, [("U0ADA", "good"), ("U0DEV", "bad")])
    await told(rig, "dev", "eng", "not a good answer")
    row = await rig.row("select * from gateway.feedback where rated_by = 'U0DEV'")
    assert (row["user_id"], row["run_id"], row["message_ts"]) == (GRACE, run.run_id, reply["ts"])
    assert await forge(rig, "U0GUEST", "C0ENG", reply["ts"], RATE, up) == 200
    await bot_said(rig, "@gil", "answer members of this workspace only")
    await become(rig, [("U0ADA", "good"), ("U0DEV", "bad")])


async def test_an_answer_made_anew_stands_in_the_same_message(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    (first,), question = await answered(rig, "dev", "eng", "shearwaters", "low over the sea")
    await press(rig, "dev", first, "eng", AGAIN)
    again = await rig.engine.question_about("shearwaters")
    assert again.request_id != question.request_id
    assert (again.turns, again.user_id) == (question.turns, GRACE)
    assert (await rig.replies("eng", first["thread_ts"]))[0][
        "text"
    ] == "low over the sea"  # until there is another
    await press(rig, "dev", first, "eng", AGAIN)
    await told(rig, "dev", "eng", "is being made anew")
    await rig.engine.answer(again, "one\n\ntwo")
    await texts_become(rig, "eng", first["thread_ts"], ["one\n\ntwo"])
    (second,) = await rig.replies("eng", first["thread_ts"])
    assert (second["ts"], second["username"]) == (first["ts"], "Grace (AI)")
    assert "AI-generated in Grace" in str(second["blocks"])
    # The old button is stale; the new one names the new answer.
    assert await forge(rig, "U0DEV", "C0ENG", first["ts"], AGAIN, str(question.request_id)) == 200
    await bot_said(rig, "@dev", "is being made anew, or was already")
    assert elements(second)[AGAIN]["value"] == str(again.request_id)
    await press(rig, "dev", second, "eng", RATE, value=f"bad:{again.request_id}")
    await become(rig, [("U0DEV", "bad")])
    assert await rig.engine.is_idle()


async def test_several_messages_are_made_anew_in_place(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    parts, _ = await answered(rig, "dev", "random", "skuas", "one\n\ntwo\n\nthree", parts=3)
    assert not [each for each in parts[:2] if elements(each)]  # under the last one only
    root = parts[0]["thread_ts"]
    await press(rig, "dev", parts[-1], "random", AGAIN)
    await rig.engine.answer(await rig.engine.question_about("skuas"), "uno\n\ndue")
    await texts_become(rig, "random", root, ["uno", "due"])
    shown = await replies(rig, "random", root, 2)
    assert [each["ts"] for each in shown] == [each["ts"] for each in parts[:2]]
    await press(rig, "dev", shown[-1], "random", AGAIN)
    await rig.engine.answer(await rig.engine.question_about("skuas"), "ein\n\nzwei\n\ndrei")
    await texts_become(rig, "random", root, ["ein", "zwei\n\ndrei"])
    await rig.settled()


@pytest.mark.parametrize("kind", ["reset_after", "status", "ratelimited"])
async def test_an_answer_made_anew_arrives_though_slack_stumbles(rig: Rig, kind: str) -> None:
    (first,), _ = await answered(rig, "dev", "eng", f"puffins {kind}", "in burrows")
    await press(rig, "dev", first, "eng", AGAIN)
    again = await rig.engine.question_about(f"puffins {kind}")
    await rig.workspace.fault("chat.update", kind, count=1)
    await rig.engine.answer(again, "on cliffs")
    await texts_become(rig, "eng", first["thread_ts"], ["on cliffs"])
    await rig.settled()


async def test_what_can_not_be_answered_again_leaves_the_answer_as_it_is(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    (first,), _ = await answered(rig, "dev", "eng", "petrels", "tiny")
    root = first["thread_ts"]
    await press(rig, "chiyo", first, "eng", AGAIN)
    await told(rig, "chiyo", "eng", "Only whoever asked, the person who is imitated, or an admin")
    await press(rig, "dev", first, "eng", AGAIN)
    await rig.engine.refuse(await rig.engine.question_about("petrels"), AdapterMissing(GRACE))
    await told(rig, "dev", "eng", "is not trained yet")
    await press(rig, "dev", first, "eng", AGAIN)  # a failed try does not stand in the way of the next one
    late = await rig.engine.question_about("petrels")
    await rig.change("update gateway.outbox set deadline_at = now() where request_id = $1", late.request_id)
    await told(rig, "dev", "eng", "took too long")
    await command(rig, "grace", "general", "consent no", "You said no")
    await press(rig, "dev", first, "eng", AGAIN)
    await told(rig, "dev", "eng", "has not agreed")
    await rig.workspace.ask("DELETE", "messages", user="dev", channel="eng", ts=root)
    await rig.settled()
    assert [each["text"] for each in await rig.replies("eng", root)] == ["tiny"]


async def test_a_no_while_it_is_made_anew_leaves_nothing_new(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    (first,), _ = await answered(rig, "dev", "eng", "gannets", "they dive")
    await press(rig, "dev", first, "eng", AGAIN)
    again = await rig.engine.question_about("gannets")
    await command(rig, "grace", "general", "consent no", "You said no")
    await rig.engine.answer(again, "from on high")
    await told(rig, "dev", "eng", "has not agreed")
    assert [each["text"] for each in await rig.replies("eng", first["thread_ts"])] == ["they dive"]


async def test_its_person_takes_an_answer_away_and_admins_hear_of_it(rig: Rig) -> None:
    run = await persona(rig, GRACE, "Grace")
    parts, question = await answered(rig, "dev", "eng", "auklets", "crested\n\nwhiskered", parts=2)
    root = parts[0]["thread_ts"]
    assert elements(parts[-1])[NOT_ME]["visible_to_user_ids"] == [GRACE]
    assert await forge(rig, "U0DEV", "C0ENG", parts[-1]["ts"], NOT_ME, str(question.request_id)) == 200
    await bot_said(rig, "@dev", "Only @Grace can say so")
    await press(rig, "grace", parts[-1], "eng", NOT_ME)
    await texts_become(rig, "eng", root, [])
    await told(rig, "grace", "eng", "took that answer away")
    report = await bot_said(rig, "@bram", f"(version {str(run.run_id)[:8]}), asked by <@U0DEV>, is not them")
    assert "<#C0ENG>" in report["text"]
    assert "auklets" not in report["text"]
    assert "crested" not in report["text"]
    assert await verdicts(rig) == [("U0GRACE", "not_me")]
    assert await forge(rig, GRACE, "C0ENG", parts[-1]["ts"], NOT_ME, str(question.request_id)) == 200
    await rig.settled()
    assert [m["text"] for m in await rig.workspace.bot_messages("@bram")].count(report["text"]) == 1


async def test_what_is_taken_away_while_it_is_made_anew_does_not_come_back(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    (first,), _ = await answered(rig, "dev", "eng", "murres", "upright")
    await press(rig, "dev", first, "eng", AGAIN)
    again = await rig.engine.question_about("murres")
    await rig.workspace.ask(
        "POST", "shortcuts", user="grace", callback_id=NOT_ME, channel="eng", message_ts=first["ts"]
    )
    await texts_become(rig, "eng", first["thread_ts"], [])
    await rig.engine.answer(again, "on ledges")
    await rig.settled()
    assert await rig.replies("eng", first["thread_ts"]) == []
    assert (await request_of(rig, again.request_id or uuid4()))["state"] == "failed"


async def test_ids_of_another_place_name_nothing(rig: Rig) -> None:
    await persona(rig, ADA, "Ada")
    (first,), question = await answered(rig, "dev", "eng", "dovekies", "small")
    value = str(question.request_id)
    other: dict[str, Any] = {"team": {"id": "T0OTHER"}}
    for action, said in ((AGAIN, value), (NOT_ME, value), (RATE, f"good:{value}")):
        assert (
            await forge(rig, ADA, "C0ENG", first["ts"], action, said, **other) == 200
        )  # not installed there
        assert await forge(rig, ADA, "C0RANDOM", first["ts"], action, said) == 200
        assert await forge(rig, ADA, "C0ENG", first["ts"], action, str(uuid4())) == 200
        assert await forge(rig, ADA, "C0ENG", first["ts"], action, "x" * 1900) == 200
    await rig.change(
        "update gateway.outbox set team_id = 'T0OTHER' where request_id = $1", question.request_id
    )
    assert await forge(rig, ADA, "C0ENG", first["ts"], NOT_ME, value) == 200
    await rig.settled()

    async def read() -> bool:
        info = await rig.engine.jetstream.consumer_info("SLACK_EVENT", "gateway")
        return not info.num_pending and not info.num_ack_pending

    await eventually(read, what="every press is read")
    assert await verdicts(rig) == []
    assert [each["text"] for each in await rig.replies("eng", first["thread_ts"])] == ["small"]
    assert await rig.engine.is_idle()


async def test_who_presses_before_we_have_written_down_that_it_is_out_is_heard(rig: Rig) -> None:
    (reply,), question = await answered(rig, "dev", "eng", "guillemots", "black and white")
    await rig.settled()
    await rig.change(
        """update gateway.outbox set state = 'sending', message_ts = null, claimed_until = now() + interval '1 second'
           where request_id = $1""",
        question.request_id,
    )
    await press(rig, "dev", reply, "eng", RATE, value=f"good:{question.request_id}")
    await become(rig, [("U0DEV", "good")])
