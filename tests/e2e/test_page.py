"""The page in a real browser: the story as a person sees it. Skipped with its reason where there is no Chromium."""

import shutil
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.support.stack import Stack
from tests.support.story import Workspace

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        CHROMIUM is None, reason="Debian's chromium is not installed: apt-get install chromium"
    ),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> \u202e <script>document.title='owned'</script>"


async def test_a_mention_is_asked_and_answered_on_the_page(
    stack: Stack, workspace: Workspace, tmp_path: Path
) -> None:
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page: Page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(stack.endpoints["playground_url"])
        await (
            page.get_by_role("link", name="general")
            .or_(page.get_by_role("button", name="general"))
            .first.click()
        )
        composer = page.get_by_role("textbox").last
        await composer.fill("@doppel can you hear me on the page?")
        await composer.press("Enter")
        await expect(page.get_by_text("can you hear me on the page?").first).to_be_visible(timeout=10_000)
        title = await page.title()  # the page names the workspace once it has drawn it

        asked = next(
            message
            for message in reversed(await workspace.messages("general"))
            if "can you hear me on the page" in message["text"]
        )
        await workspace.reply("general", asked["ts"])

        await workspace.say("bram", "general", HOSTILE)
        await expect(page.get_by_text("onerror").first).to_be_visible(timeout=10_000)
        assert await page.title() == title
        assert await page.locator("img[src='x']").count() == 0

        await expect(page.get_by_text("generate.request").first).to_be_visible(timeout=10_000)
        await page.screenshot(path=tmp_path / "page.png")
        await browser.close()
    assert errors == []
