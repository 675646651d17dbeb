"""The page in a real browser: hostile text stays text, buttons work, a DM is offered."""

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright, expect
from slack_sdk.web.async_client import AsyncWebClient

from playground.app import Running
from tests.integration.playground.playbox import Control, Receiver, eventually

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed"),
]
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"> \u202egnp.exe \u200b *bold* </script><script>1</script>"
)


@pytest.fixture
async def page(running: Running) -> AsyncIterator[Page]:
    problems: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.goto(f"{running.url}/#U0BRAM/C0GENERAL")
        await expect(page.locator("#link-state")).to_have_text("live")
        yield page
        await browser.close()
    assert problems == []


async def test_hostile_text_stays_text(page: Page, control: Control, client: AsyncWebClient) -> None:
    await page.locator("#composer textarea").fill(HOSTILE)
    await page.keyboard.press("Enter")
    written = page.locator("#list article[data-author=Bram]").last
    await expect(written).to_contain_text("<img src=x onerror=")
    await expect(written).to_contain_text("<script>1</script>")
    await expect(written.locator("strong")).to_have_text("bold")
    await expect(written.locator(".control")).to_have_count(2)
    assert await written.locator("img, script").count() == 0
    await client.chat_postMessage(channel="C0GENERAL", text=HOSTILE, username=f"{HOSTILE[:30]} (AI)")
    answer = page.locator("#list article").last
    await expect(answer.locator(".badge.ai")).to_have_text("AI")
    await expect(answer.locator(".who")).to_contain_text("<img src=x")
    assert "owned" not in await page.title()


async def test_the_consent_story_is_played_by_hand(
    page: Page, control: Control, client: AsyncWebClient, receiver: Receiver
) -> None:
    await page.locator("#composer textarea").fill("/doppel train @ada")
    await page.keyboard.press("Enter")
    await eventually(lambda: receiver.requests)
    assert receiver.requests[0]["body"]["text"] == "train <@U0ADA|ada>"
    channel = (await client.conversations_open(users="U0ADA"))["channel"]["id"]
    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Allow"},
        "action_id": "yes",
        "value": "1",
    }
    blocks = [{"type": "actions", "elements": [button]}]
    posted = await client.chat_postMessage(channel=channel, text="May I?", blocks=blocks)
    await page.get_by_role("button", name="Be Ada").click()
    await page.get_by_role("button", name="Allow").click()
    await eventually(lambda: receiver.requests[-1]["path"] == "/slack/interactivity")
    await client.chat_update(channel=channel, ts=posted["ts"], text="Thank you. Training 3 of 60")
    await expect(page.locator("#list")).to_contain_text("Training 3 of 60")
    await expect(page.get_by_role("button", name="Allow")).to_have_count(0)


async def test_threads_open_and_take_replies_by_keyboard(
    page: Page, control: Control, receiver: Receiver
) -> None:
    posted = await control.post("messages", user="finn", channel="general", text="who knows?")
    row = page.locator(f'#list [data-ts="{posted["ts"]}"]')
    await row.hover()
    await row.get_by_role("button", name="Reply in thread").click()
    await page.keyboard.type("@dop")
    await page.keyboard.press("Tab")
    await page.keyboard.type("please")
    await page.keyboard.press("Enter")
    await expect(page.locator("#thread-list")).to_contain_text("@doppel please")
    await expect(row).to_contain_text("1 reply")
    await eventually(lambda: receiver.events())
    assert receiver.events()[0]["thread_ts"] == posted["ts"]
    await page.keyboard.press("Escape")
    await expect(page.locator("#thread")).to_be_hidden()


async def test_the_panel_counts_what_passes(page: Page, running: Running) -> None:
    for step in (1, 2):
        shown = {"subject": "train.progress", "bytes": 210, "run_id": "r", "step": step, "total": 2}
        running.box.hub.publish("bus", shown)
    rows = page.locator("#bus-rows li")
    await expect(rows).to_have_count(1)
    await expect(rows.first).to_contain_text("2/2")
    await expect(page.locator(".family.f-train b")).to_have_text("2")
