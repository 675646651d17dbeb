"""A form and a picture in a real browser."""

from playwright.async_api import Page, expect
from slack_sdk.web.async_client import AsyncWebClient

from tests.integration.playground.playbox import Control, Receiver, eventually
from tests.integration.playground.test_files_and_forms import PNG, VIEW
from tests.integration.playground.test_page import page, pytestmark

__all__ = ["page", "pytestmark"]  # the browser, and where there is none


async def test_a_form_is_filled_in_and_what_is_wrong_is_shown(
    page: Page, control: Control, client: AsyncWebClient, receiver: Receiver
) -> None:
    pressed = await control.post("commands", user="bram", channel="general", text="menu")
    await client.views_open(trigger_id=pressed["trigger_id"], view=VIEW | {"submit": {"text": "Do it"}})
    field = page.locator("#form input")
    await field.fill("that")
    receiver.bodies.append({"response_action": "errors", "errors": {"a": "Not <b>that</b>."}})
    await page.get_by_text("Do it").click()
    await expect(page.locator("#form .wrong")).to_have_text("Not <b>that</b>.")
    await field.fill("words")
    await page.get_by_text("Do it").click()
    await expect(page.locator("#form")).to_be_hidden()
    await eventually(lambda: '"words"' in receiver.requests[-1]["body"]["payload"])


async def test_a_shared_picture_is_shown(page: Page, client: AsyncWebClient) -> None:
    await client.files_upload_v2(
        filename="p.png", content=PNG, title="Losses <i>", alt_txt="falling", channel="C0GENERAL"
    )
    shown = page.locator("#list article").last
    await expect(shown.locator(".file-name")).to_have_text("Losses <i>")
    await expect(shown.locator("img[alt=falling]")).to_have_count(1)
