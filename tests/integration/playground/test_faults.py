"""The switches do to the real client what a bad day at Slack does."""

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from playground.app import Running
from tests.integration.playground.playbox import Control


async def posts(running: Running, text: str) -> int:
    return sum(
        message.get("text") == text for message in running.workspace.channels["C0GENERAL"].everything()
    )


async def test_429_with_and_without_retry_after_then_all_is_well(
    control: Control, client: AsyncWebClient
) -> None:
    await control.post("faults", on="chat.postMessage", kind="ratelimited", retry_after=7)
    await control.post("faults", on="chat.*", kind="ratelimited", retry_after=None)
    for retry_after in ("7", None):
        with pytest.raises(SlackApiError) as error:
            await client.chat_postMessage(channel="C0GENERAL", text="x")
        assert (error.value.response.status_code, error.value.response["error"]) == (429, "ratelimited")
        assert error.value.response.headers.get("Retry-After") == retry_after
    assert (await client.chat_postMessage(channel="C0GENERAL", text="x"))["ok"]


async def test_errors_pages_and_statuses(control: Control, client: AsyncWebClient, running: Running) -> None:
    for fault in (
        {"kind": "status", "status": 502},
        {"kind": "html"},
        {"kind": "error", "error": "fatal_error"},
    ):
        await control.post("faults", on="chat.postMessage", **fault)
        with pytest.raises(SlackApiError):
            await client.chat_postMessage(channel="C0GENERAL", text="never")
    assert await posts(running, "never") == 0


@pytest.mark.parametrize(("kind", "effects"), [("reset_before", 0), ("reset_after", 1)])
async def test_a_reset_comes_before_or_after_the_effect(
    kind: str, effects: int, control: Control, client: AsyncWebClient, running: Running
) -> None:
    await control.post("faults", on="chat.postMessage", kind=kind)
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel="C0GENERAL", text="cut")
    assert await posts(running, "cut") == effects
    rows = (await history(control)).splitlines()
    assert kind in rows[-1]


async def test_a_status_after_the_effect(control: Control, client: AsyncWebClient, running: Running) -> None:
    await control.post("faults", on="chat.postMessage", kind="status_after", status=504)
    with pytest.raises(SlackApiError):
        await client.chat_postMessage(channel="C0GENERAL", text="done")
    assert await posts(running, "done") == 1


async def test_skip_and_count_say_which_calls_are_meant(control: Control, client: AsyncWebClient) -> None:
    await control.post("faults", on="auth.test", kind="error", skip=1, count=2)
    outcomes: list[bool] = []
    for _ in range(4):
        try:
            outcomes.append(bool((await client.auth_test())["ok"]))
        except SlackApiError:
            outcomes.append(False)
    assert outcomes == [True, False, False, True]


async def test_a_fault_in_the_wrong_place_is_refused(control: Control) -> None:
    assert not (await control.post("faults", on="chat.postMessage", kind="drop"))["ok"]
    assert not (await control.post("faults", on="events", kind="ratelimited"))["ok"]
    assert (await control("GET", "faults"))["faults"] == []


async def test_a_dead_token_is_told(control: Control, client: AsyncWebClient) -> None:
    await control.post("tokens/revoke")
    with pytest.raises(SlackApiError) as error:
        await client.auth_test()
    assert error.value.response["error"] == "token_revoked"
    await control.post("tokens/revoke", restore=True)
    assert (await client.auth_test())["ok"]


async def test_the_journal_holds_calls_without_tokens(control: Control, client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel="C0GENERAL", text="noted")
    lines = await history(control)
    assert '"chat.postMessage"' in lines
    assert "xoxb-" not in lines


async def history(control: Control) -> str:
    async with control.session.get(f"{control.url}/playground/history", params={"direction": "in"}) as answer:
        return await answer.text()
