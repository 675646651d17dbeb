"""The form does what the commands do, and says at once what is missing."""

from typing import Any

from tests.integration.gateway.rig import Rig
from tests.integration.gateway.test_commands import GRACE, ephemerals, persona, tidy
from tests.integration.gateway.test_training import bot_said, said_to
from tests.support.waiting import eventually

__all__ = ["tidy"]  # a fixture: nobody's persona before and after each of these


async def opened(rig: Rig, user: str) -> dict[str, Any]:
    async def found() -> dict[str, Any] | None:
        views = (await rig.workspace.ask("GET", "views", user=user))["views"]
        return views[-1] if views else None

    return await eventually(found, what=f"a form for {user}", within_s=10)


async def send(rig: Rig, user: str, view: dict[str, Any], **values: Any) -> dict[str, Any]:
    return await rig.workspace.ask("POST", "views", user=user, view_id=view["id"], values=values)


async def test_a_form_asks_a_persona_and_the_answer_comes_where_it_was_opened(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    await rig.workspace.command("dev", "random", "menu")
    view = await opened(rig, "dev")
    assert "hooks" not in view["private_metadata"]
    assert "response" not in view["private_metadata"]

    wrong = await send(rig, "dev", view, what="ask")
    assert wrong["response"]["errors"] == {"who": "Say who.", "text": "Write it here."}
    assert (await opened(rig, "dev"))["id"] == view["id"]
    await send(rig, "dev", view, what="ask", who="grace", text="are the <knots> back?")
    request = await rig.engine.question_about("knots")
    assert request.user_id == GRACE
    assert request.turns[-1].content == "Dev: are the <knots> back?"
    await rig.engine.answer(request, "since Monday")
    await said_to(rig, "dev", "Grace (AI): since Monday", "random")
    assert not (await rig.workspace.ask("GET", "views", user="dev"))["views"]


async def test_a_shortcut_opens_the_form_and_the_answer_comes_by_dm(rig: Rig) -> None:
    await rig.workspace.ask("POST", "shortcuts", user="grace", callback_id="menu")
    view = await opened(rig, "grace")
    assert "where" not in [block["block_id"] for block in view["blocks"]]
    await send(rig, "grace", view, what="consent")
    await bot_said(rig, "@grace", "neither yes nor no")
    await rig.workspace.ask("POST", "shortcuts", user="grace", callback_id="menu")
    await send(rig, "grace", await opened(rig, "grace"), what="help")
    await bot_said(rig, "@grace", "/doppel rollback @ada")


async def test_a_form_that_comes_too_late_has_a_button_that_opens_it(rig: Rig) -> None:
    await rig.workspace.fault("views.open", "error", count=1, error="expired_trigger_id")
    await rig.workspace.command("dev", "random", "menu")
    await said_to(rig, "dev", "Press the button to open it", "random")
    shown = (await rig.workspace.ask("GET", "messages", channel="random", viewer="dev"))["ephemerals"]
    row = next(each for each in reversed(shown) if "Press the button" in each["text"])
    await rig.workspace.press("dev", "random", row["ts"], "menu_open")
    before = len(await ephemerals(rig, "dev", "random"))
    await send(rig, "dev", await opened(rig, "dev"), what="limits")

    async def told() -> bool:
        return any(
            "Trainings in 24 hours" in each for each in (await ephemerals(rig, "dev", "random"))[before:]
        )

    await eventually(told, what="the limits, where the button was", within_s=10)
