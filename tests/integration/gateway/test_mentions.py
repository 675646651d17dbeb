"""A mention becomes exactly one reply, whatever happens on the way."""

import pytest

from proto.errors import AdapterMissing, BaseModelMissing
from tests.integration.gateway.rig import Rig
from tests.support.waiting import eventually


async def test_a_mention_is_answered_in_its_thread_under_the_bots_own_name(rig: Rig) -> None:
    asked = await rig.workspace.say("bram", "general", "@doppel what is a lighthouse?")
    question = await rig.engine.question_about("lighthouse")
    assert question.user_id is None
    assert question.turns[-1].content == "Bram: what is a lighthouse?"
    assert question.deadline_at
    await rig.engine.answer(question, "A tower with a lamp.")
    reply = await rig.workspace.reply("general", asked["ts"], within_s=15)
    assert reply["text"] == "A tower with a lamp."
    assert reply["thread_ts"] == asked["ts"]
    assert not reply.get("username")
    assert reply["metadata"]["event_payload"] == {"request_id": str(question.request_id), "part": 0}


async def test_a_direct_message_is_answered(rig: Rig) -> None:
    asked = await rig.workspace.say("chiyo", "@chiyo", "psst, a secret anchor?")
    question = await rig.engine.question_about("anchor")
    await rig.engine.answer(question, "Heavy.")
    assert (await rig.workspace.reply("@chiyo", asked["ts"], within_s=15))["text"] == "Heavy."


async def test_a_thread_is_its_context(rig: Rig) -> None:
    root = await rig.workspace.say("dev", "random", "the crane is broken")
    await rig.workspace.say("chiyo", "random", "again?", thread_ts=root["ts"])
    await rig.workspace.say("bram", "random", "@doppel what is broken, the winch?", thread_ts=root["ts"])
    question = await rig.engine.question_about("winch")
    lines = "\n".join(turn.content for turn in question.turns).splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "the crane is broken", "again?", "what is broken, the winch?",
    ]  # fmt: skip
    await rig.engine.answer(question, "The crane.")
    assert len(await eventually(lambda: rig.replies("random", root["ts"]), what="the reply")) == 1


async def test_the_same_event_many_times_at_both_replicas_is_one_reply(rig: Rig) -> None:
    asked = await rig.workspace.say("dev", "general", "@doppel how often is a compass asked?")
    for replica in rig.replicas:
        await rig.workspace.ask(
            "POST", "redeliver", event_id=asked["event_ids"][0], times=5, gateway=replica.url
        )
    question = await rig.engine.question_about("compass")
    await rig.engine.answer(question, "Once.")
    await rig.workspace.reply("general", asked["ts"], within_s=15)
    await rig.engine.answer(question, "Twice.", outcome="again")
    await rig.settled()
    assert await rig.engine.is_idle()
    assert [m["text"] for m in await rig.replies("general", asked["ts"])] == ["Once."]


@pytest.mark.parametrize("kind", ["reset_after", "reset_before", "status_after", "status"])
async def test_a_lost_answer_of_slack_is_one_reply(rig: Rig, kind: str) -> None:
    asked = await rig.workspace.say("elena", "eng", f"@doppel a rope {kind}?")
    question = await rig.engine.question_about(f"rope {kind}")
    await rig.workspace.fault("chat.postMessage", kind, count=1)
    await rig.engine.answer(question, "Knots.")
    await rig.workspace.reply("eng", asked["ts"], within_s=30)
    await rig.settled()
    assert [m["text"] for m in await rig.replies("eng", asked["ts"])] == ["Knots."]


async def test_a_second_copy_is_taken_away(rig: Rig) -> None:
    """Slack posts late, after we looked and sent again: of two, one goes."""
    asked = await rig.workspace.say("finn", "eng", "@doppel two anvils?")
    question = await rig.engine.question_about("anvils")
    await rig.workspace.fault("chat.postMessage", "reset_before", count=1)
    await rig.engine.answer(question, "One.")
    await rig.workspace.reply("eng", asked["ts"], within_s=30)
    first = (await rig.replies("eng", asked["ts"]))[0]
    channel = rig.playground.workspace.channels["C0ENG"]
    copy = {key: value for key, value in first.items() if key not in ("ts", "thread_ts", "parent_user_id")}
    rig.playground.workspace.post(channel, copy, thread_ts=asked["ts"])

    async def alone() -> bool:
        return [m["ts"] for m in await rig.replies("eng", asked["ts"])] == [first["ts"]]

    await eventually(alone, what="the copy is gone", within_s=15)


async def test_slack_asking_to_wait_is_obeyed(rig: Rig) -> None:
    asked = await rig.workspace.say("bram", "random", "@doppel slow barge?")
    question = await rig.engine.question_about("barge")
    await rig.workspace.fault("chat.postMessage", "ratelimited", count=2, retry_after=1)
    await rig.engine.answer(question, "Slow.")
    await rig.workspace.reply("random", asked["ts"], within_s=15)
    await rig.settled()
    assert len(await rig.replies("random", asked["ts"])) == 1


@pytest.mark.parametrize("error", [AdapterMissing("U0FINN"), BaseModelMissing("tiny")])
async def test_a_typed_error_is_one_plain_sentence(rig: Rig, error: AdapterMissing) -> None:
    asked = await rig.workspace.say("bram", "general", f"@doppel broken {error.code}?")
    question = await rig.engine.question_about(f"broken {error.code}")
    await rig.engine.refuse(question, error)
    reply = await rig.workspace.reply("general", asked["ts"], within_s=15)
    assert "<@" not in reply["text"]
    assert str(error).split("<@")[0][:20] in reply["text"] or "is not trained yet" in reply["text"]


async def test_hostile_model_output_is_harmless(rig: Rig) -> None:
    asked = await rig.workspace.say("bram", "general", "@doppel say gunwale")
    question = await rig.engine.question_about("gunwale")
    await rig.engine.answer(question, "<!channel> <@U0ADA> @everyone \u202egnp.exe & <script>")
    text = (await rig.workspace.reply("general", asked["ts"], within_s=15))["text"]
    assert "<" not in text
    assert "\u202e" not in text
    assert "@everyone" not in text


async def test_a_long_answer_comes_in_order(rig: Rig) -> None:
    asked = await rig.workspace.say("bram", "general", "@doppel long tide?")
    question = await rig.engine.question_about("tide")
    words = " ".join(f"word{n}" for n in range(1000))
    await rig.engine.answer(question, words)

    async def whole() -> bool:
        return " ".join(m["text"] for m in await rig.replies("general", asked["ts"])) == words

    await eventually(whole, what="every part, in order", within_s=20)
    assert len(await rig.replies("general", asked["ts"])) > 1


async def test_nobody_answers_apps_edits_and_itself(rig: Rig) -> None:
    await rig.settled()
    asked = await rig.workspace.say("bram", "general", "no mention here, buoy")
    await rig.workspace.ask(
        "PATCH", "messages", user="bram", channel="general", ts=asked["ts"], text="@doppel buoy?"
    )
    assert await rig.engine.is_idle()


async def test_an_empty_mention_gets_a_sentence(rig: Rig) -> None:
    asked = await rig.workspace.say("bram", "general", "@doppel")
    assert "after my name" in (await rig.workspace.reply("general", asked["ts"], within_s=15))["text"]
