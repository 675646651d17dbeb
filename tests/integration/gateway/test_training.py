"""From `/doppel train @ada` to answers in Ada's voice; the test plays scraper and trainer."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from proto import subjects
from proto.dataset import DatasetSummary
from proto.errors import DatasetTooSmall
from proto.persona import PersonaRequest
from proto.scrape import ScrapeProgress, ScrapeResult
from proto.train import AdapterRef, RunState, TrainProgress, TrainResult
from tests.integration.gateway.rig import Rig
from tests.support.story import text_of
from tests.support.waiting import eventually

TEAM = "T0DOPPEL"


async def said_to(rig: Rig, person: str, words: str, channel: str) -> str:
    """Wait for a sentence with these words that only this person sees."""

    async def seen() -> str | None:
        found = await rig.workspace.ask("GET", "messages", channel=channel, viewer=person)
        return next((e["text"] for e in found["ephemerals"] if words in e["text"]), None)

    return await eventually(seen, what=f"{words!r} to {person}", within_s=15)


async def bot_said(rig: Rig, channel: str, words: str) -> dict[str, Any]:
    async def seen() -> dict[str, Any] | None:
        found = await rig.workspace.bot_messages(channel)
        return next((m for m in reversed(found) if words in text_of(m)), None)

    return await eventually(seen, what=f"{words!r} in {channel}", within_s=15)


def published(request: dict[str, Any], **more: Any) -> TrainResult:
    """What the trainer tells in the end."""
    fields: dict[str, Any] = {
        "request_id": UUID(request["request_id"]),
        "run_id": UUID(request.get("run_id") or str(uuid4())),
        "team_id": TEAM,
        "user_id": request["user_id"],
        "state": RunState.PUBLISHED,
        "requested_at": request.get("requested_at"),
        "base_model": "tiny",
        "base_test_loss": 5.25,
        "test_loss": 3.125,
    }
    run_id = more.pop("run_id", fields["run_id"])
    adapter = AdapterRef(
        run_id=run_id,
        prefix=f"workspaces/{TEAM}/personas/{request['user_id']}/runs/{run_id}/1/adapter",
        manifest_sha256="0" * 64,
    )
    return TrainResult(**fields | {"adapter": adapter, "run_id": run_id} | more)


async def consents(rig: Rig, user_id: str) -> int:
    return (await rig.row("select count(*) as n from gateway.consents where user_id = $1", user_id))["n"]


async def test_a_yes_leads_to_a_persona_that_answers(rig: Rig, http: aiohttp.ClientSession) -> None:
    answer = await rig.workspace.command("bram", "general", "train @ada")
    assert answer["status"] == 200
    assert answer["response"]["response_type"] == "ephemeral"
    question = await rig.workspace.consent_question("ada")
    assert "public channels" in text_of(question)
    assert "U0BRAM" in text_of(question)
    await said_to(rig, "bram", "asked", "general")
    await rig.workspace.command("dev", "general", "train <@U0ADA>")
    await said_to(rig, "dev", "asked already", "general")

    await rig.workspace.answer_consent("ada", allow=True)
    scrape = await rig.fact("scrape.request", user_id="U0ADA")
    assert (scrape["source"], scrape["then_train"]) == ("api", True)
    progress = await bot_said(rig, "general", "Learning how <@U0ADA> writes")
    assert "You allowed it" in text_of(await bot_said(rig, "@ada", "You allowed it"))

    request_id = UUID(scrape["request_id"])
    told = ScrapeProgress(
        request_id=request_id, team_id=TEAM, user_id="U0ADA", stage="reading", step=120, channels_done=1,
        channel_count=4,
    )  # fmt: skip
    await rig.tell(subjects.SCRAPE_PROGRESS, told, f"{request_id}/1")
    assert (await bot_said(rig, "general", "120 messages read"))["ts"] == progress["ts"]
    dataset_id = uuid4()
    scraped = ScrapeResult(
        request_id=request_id, team_id=TEAM, user_id="U0ADA", then_train=True, dataset_id=dataset_id,
        requested_at=datetime.fromisoformat(scrape["requested_at"]),
        summary=DatasetSummary(
            sample_count=412, message_count=530, channel_count=3, response_tokens=9_340,
            oldest_ts="1672617600.000000", latest_ts="1715904000.000000", dropped={"too_short": 812},
        ),
    )  # fmt: skip
    await rig.tell(subjects.SCRAPE_RESULT, scraped, f"{request_id}/done")
    shown = await bot_said(rig, "general", "412 samples from 530 messages in 3 channels")
    assert shown["ts"] == progress["ts"]
    assert "2023-01-02 to 2024-05-17" in shown["text"]
    assert "left out: 812 too short" in shown["text"]
    train = await rig.fact("train.request", user_id="U0ADA")
    assert (train["request_id"], train["dataset_id"]) == (str(request_id), str(dataset_id))

    run = await rig.row("select run_id from gateway.trainings where request_id = $1", request_id)
    step = TrainProgress(
        request_id=request_id, run_id=run["run_id"], team_id=TEAM, user_id="U0ADA", stage="training", step=5,
        total=10, train_loss=4.0,
    )  # fmt: skip
    await rig.tell(subjects.TRAIN_PROGRESS, step, f"{request_id}/5")
    assert (await bot_said(rig, "general", "step 5 of 10"))["ts"] == progress["ts"]
    await rig.tell(subjects.TRAIN_RESULT, published(train, run_id=run["run_id"]), f"{request_id}/published")
    done = await bot_said(rig, "general", "5.25 → 3.12")
    assert done["ts"] == progress["ts"]
    assert "<@U0ADA> is ready" in done["text"]

    asked = await rig.workspace.say("chiyo", "random", "@doppel are the cormorants back?")
    put = await rig.engine.question_about("cormorants")
    assert put.user_id == "U0ADA"
    assert put.adapter
    assert put.adapter.run_id == run["run_id"]
    await rig.engine.answer(put, "aye, they are")
    reply = await rig.workspace.reply("random", asked["ts"], within_s=15)
    assert reply["username"].endswith("(AI)")
    assert "AI-generated in" in text_of(reply)
    async with http.get(reply["icons"]["image_48"]) as picture:
        assert picture.status == 200
        etag = picture.headers["ETag"]
        assert (await picture.read()).startswith(b"\x89PNG")
    async with http.get(reply["icons"]["image_48"], headers={"If-None-Match": etag}) as again:
        assert again.status == 304


async def test_guests_and_people_who_are_named_get_what_is_theirs(rig: Rig) -> None:
    await rig.workspace.say("U0GUEST", "general", "@doppel puffins?")
    assert (await rig.engine.question_about("puffins")).user_id is None
    asked = await rig.workspace.say("bram", "general", "@doppel as <@U0DEV>: herons?")
    reply = await rig.workspace.reply("general", asked["ts"], within_s=15)
    assert "has not agreed" in reply["text"]
    await rig.workspace.say("bram", "general", "@doppel as <@U0ADA>, gannets?")
    put = await rig.engine.question_about("gannets")
    assert put.user_id == "U0ADA"
    assert put.turns[-1].content.endswith(": gannets?")


async def test_a_revoked_consent_stops_the_next_reply(rig: Rig) -> None:
    """Also one whose words are there already."""
    asked = await rig.workspace.say("bram", "random", "@doppel terns?")
    put = await rig.engine.question_about("terns")
    assert put.user_id == "U0ADA"
    request = PersonaRequest(
        request_id=uuid4(), team_id=TEAM, user_id="U0ADA", granted=False, reason="she said so"
    )
    await rig.tell(subjects.PERSONA_REQUEST, request, str(request.request_id))
    assert (await rig.fact("persona.result", request_id=str(request.request_id)))["granted"] is False
    await bot_said(rig, "@ada", "recorded your no")
    await rig.engine.answer(put, "SECRET VOICE")
    reply = await rig.workspace.reply("random", asked["ts"], within_s=15)
    assert "SECRET VOICE" not in text_of(reply)
    assert "has not agreed" in reply["text"]
    await rig.workspace.say("bram", "random", "@doppel razorbills?")
    assert (await rig.engine.question_about("razorbills")).user_id is None


async def test_no_means_that_nothing_is_trained_and_the_asker_hears_it(rig: Rig) -> None:
    await rig.workspace.command("elena", "eng", "train @bram")
    question = await rig.workspace.consent_question("bram")
    before = await consents(rig, "U0BRAM")
    await rig.workspace.press("bram", "@bram", question["ts"], "consent_no")
    await bot_said(rig, "@bram", "You said no")
    await bot_said(rig, "@elena", "said no")
    assert await consents(rig, "U0BRAM") == before + 1
    assert not [each for each in await rig.facts("scrape.request") if each.get("user_id") == "U0BRAM"]
    row = await rig.row("select state from gateway.trainings where user_id = 'U0BRAM'")
    assert row["state"] == "done"


async def test_a_training_that_fails_says_what_to_do(rig: Rig) -> None:
    await rig.workspace.command("elena", "eng", "train @chiyo")
    await rig.workspace.answer_consent("chiyo", allow=True)
    scrape = await rig.fact("scrape.request", user_id="U0CHIYO")
    error = DatasetTooSmall("U0CHIYO", 3, 50).info()
    failed = ScrapeResult(
        request_id=UUID(scrape["request_id"]), team_id=TEAM, user_id="U0CHIYO", then_train=True, error=error
    )
    await rig.tell(subjects.SCRAPE_RESULT, failed, f"{scrape['request_id']}/{error.code}")
    await bot_said(rig, "eng", "has written too little to learn from")
    assert not [each for each in await rig.facts("train.request") if each["user_id"] == "U0CHIYO"]


async def test_who_may_not_be_imitated_is_not_asked(rig: Rig) -> None:
    for typed, words in (
        ("train @nobody-of-that-name", "don't know who nobody-of-that-name"),
        ("train <@U0GUEST>", "guest"),
        ("train <@U0GONE>", "deactivated"),
        ("train <@U0DOPPEL>", "that is me"),
        ("train <@USLACKBOT>", "bot"),
    ):
        await rig.workspace.command("finn", "eng", typed)
        await said_to(rig, "finn", words, "eng")
    row = await rig.row("select count(*) as n from gateway.trainings where asked_by = 'U0FINN'")
    assert row["n"] == 0


async def test_import_is_answered_with_the_line_to_run(rig: Rig) -> None:
    answer = await rig.workspace.command("dev", "random", "import")
    assert "`doppel import FILE.zip --team T0DOPPEL`" in answer["response"]["text"]


async def test_help_and_status_are_said(rig: Rig) -> None:
    helped = await rig.workspace.command("dev", "random", "help")
    assert "/doppel train" in helped["response"]["text"]
    await rig.workspace.command("dev", "random", "status")
    await said_to(rig, "dev", "trained", "random")


async def test_a_workspace_without_slack_is_trained_by_the_operator(rig: Rig) -> None:
    """An imported workspace: consent by request, then scraper and trainer; nobody is told in Slack."""
    request = PersonaRequest(
        request_id=uuid4(), team_id="T0IMPORT", user_id="U0REAL", granted=True, reason="by mail", name="Real"
    )
    await rig.tell(subjects.PERSONA_REQUEST, request, str(request.request_id))
    await rig.fact("persona.result", request_id=str(request.request_id))
    newer, older = datetime.now(UTC), datetime.now(UTC) - timedelta(hours=1)
    asked = {"request_id": str(uuid4()), "user_id": "U0REAL", "requested_at": newer}
    await rig.tell(subjects.TRAIN_RESULT, published(asked, team_id="T0IMPORT"), "imported-1")

    async def active() -> Any:
        return await rig.row("select * from gateway.active_adapters where team_id = 'T0IMPORT'")

    first = await eventually(active, what="the adapter is active")
    late = published(
        asked | {"request_id": str(uuid4())}, team_id="T0IMPORT", requested_at=older, run_id=uuid4()
    )
    await rig.tell(subjects.TRAIN_RESULT, late, "imported-2")
    without = published({"request_id": str(uuid4()), "user_id": "U0OTHER"}, team_id="T0IMPORT")
    await rig.tell(subjects.TRAIN_RESULT, without, "imported-3")

    async def read() -> bool:
        info = await rig.engine.jetstream.consumer_info("FACTS", "gateway")
        return not info.num_pending and not info.num_ack_pending

    await eventually(read, what="every fact is read")
    assert (await active())["run_id"] == first["run_id"]
    assert not await rig.row("select true from gateway.active_adapters where user_id = 'U0OTHER'")
