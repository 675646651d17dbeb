"""Uploads and modals, as slack_sdk uses them unchanged."""

import json
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.integration.playground.playbox import Control, Receiver

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
VIEW: dict[str, Any] = {
    "type": "modal",
    "callback_id": "c",
    "title": {"type": "plain_text", "text": "t"},
    "blocks": [
        {
            "type": "input", "block_id": "a", "label": {"type": "plain_text", "text": "a"},
            "element": {"type": "plain_text_input", "action_id": "x"},
        }
    ],
}  # fmt: skip


async def test_a_file_is_uploaded_shared_and_seen(
    control: Control, client: AsyncWebClient, http: aiohttp.ClientSession
) -> None:
    root = await client.chat_postMessage(channel="C0GENERAL", text="see below")
    answer = await client.files_upload_v2(
        filename="p.png",
        content=PNG,
        title="A picture",
        alt_txt="dots",
        channel="C0GENERAL",
        thread_ts=root["ts"],
    )
    assert (answer["files"] or [])[0]["title"] == "A picture"
    message = (await control.messages("general", thread_ts=str(root["ts"])))["messages"][-1]
    (file,) = message["files"]
    assert (file["mimetype"], file["alt_txt"], file["size"]) == ("image/png", "dots", len(PNG))
    async with http.get(file["url_private"]) as shown:
        assert await shown.read() == PNG
        assert shown.headers["X-Content-Type-Options"] == "nosniff"


async def test_what_is_no_picture_is_not_served(
    control: Control, client: AsyncWebClient, http: aiohttp.ClientSession
) -> None:
    page = b"<script>alert(1)</script>"
    answer = await client.files_upload_v2(filename="p.png", content=page, channel="C0GENERAL")
    file_id = (answer["files"] or [])[0]["id"]
    async with http.get(f"{control.url}/files/{file_id}") as shown:
        assert shown.status == 404


async def test_a_file_needs_its_bytes_before_it_is_shared(
    control: Control, client: AsyncWebClient, http: aiohttp.ClientSession
) -> None:
    upload = await client.files_getUploadURLExternal(filename="p.png", length=len(PNG))
    async with http.post(str(upload["upload_url"]), data=PNG[:-1]) as refused:
        assert refused.status == 400
    with pytest.raises(SlackApiError, match="file_not_found"):
        await client.files_completeUploadExternal(files=[{"id": str(upload["file_id"]), "title": "t"}])
    async with http.post(str(upload["upload_url"]), data=PNG) as taken:
        assert await taken.text() == f"OK - {len(PNG)}"
    async with http.post(str(upload["upload_url"]), data=PNG) as again:
        assert again.status == 404


async def test_a_form_is_the_persons_whose_press_opened_it(
    control: Control, client: AsyncWebClient, receiver: Receiver
) -> None:
    pressed = await control.post("commands", user="ada", channel="general", text="x")
    opened = await client.views_open(trigger_id=pressed["trigger_id"], view=VIEW)
    view_id = (opened["view"] or {})["id"]
    assert [view["id"] for view in (await control("GET", "views", user="ada"))["views"]] == [view_id]
    assert (await control("GET", "views", user="bram"))["views"] == []
    assert (await control.post("views", user="bram", view_id=view_id))["error"] == "view_not_found"
    missing = await control.post("views", user="ada", view_id=view_id)
    assert (missing["error"], missing["block_id"]) == ("required_field_missing", "a")

    receiver.bodies.append({"response_action": "errors", "errors": {"a": "Not that."}})
    refused = await control.post("views", user="ada", view_id=view_id, values={"a": "that"})
    assert refused["response"]["errors"] == {"a": "Not that."}
    await control.post("views", user="ada", view_id=view_id, values={"a": "words"})
    sent = json.loads(receiver.requests[-1]["body"]["payload"])
    assert sent["type"] == "view_submission"
    assert sent["view"]["state"]["values"]["a"]["x"] == {"type": "plain_text_input", "value": "words"}
    assert "viewer" not in sent["view"]
    assert (await control("GET", "views", user="ada"))["views"] == []


def under(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "context_actions", "elements": list(elements)}]


async def test_a_button_for_one_person_is_no_button_for_others(
    control: Control, client: AsyncWebClient, receiver: Receiver
) -> None:
    text = {"type": "plain_text", "text": "Not me"}
    trash = {"type": "icon_button", "icon": "trash", "action_id": "x", "text": text, "value": "v"}
    posted = await client.chat_postMessage(
        channel="C0ENG", text="hm", blocks=under(trash | {"visible_to_user_ids": ["U0ADA"]})
    )
    where: dict[str, Any] = {"channel": "eng", "message_ts": posted["ts"], "action_id": "x"}
    assert (await control.post("actions", user="bram", **where))["error"] == "action_not_found"
    assert (await control.post("actions", user="ada", **where))["status"] == 200


@pytest.mark.parametrize(
    "elements",
    [
        [],
        [{"type": "button", "action_id": "x"}],
        [{"type": "icon_button", "action_id": "x" * 256}],
        [{"type": "icon_button", "text": {"type": "plain_text", "text": "x" * 76}}],
        [{"type": "feedback_buttons", "positive_button": {"value": "x" * 2001}}],
        [{"type": "icon_button", "action_id": "x"}] * 6,
    ],
)
async def test_buttons_that_slack_would_not_take_are_refused(
    client: AsyncWebClient, elements: list[dict[str, Any]]
) -> None:
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C0ENG", text="hm", blocks=under(*elements))
    assert refused.value.response["error"] == "invalid_blocks"


async def test_a_shortcut_of_a_message_comes_with_the_message(control: Control, receiver: Receiver) -> None:
    said = await control.post("messages", user="ada", channel="eng", text="hello")
    where: dict[str, Any] = {"channel": "eng", "message_ts": said["ts"]}
    answer = await control.post("shortcuts", user="bram", callback_id="not_me", **where)
    assert answer["status"] == 200
    payload = json.loads(receiver.requests[-1]["body"]["payload"])
    assert (payload["type"], payload["message"]["ts"]) == ("message_action", said["ts"])
    assert payload["channel"]["id"] == "C0ENG"
    assert payload["response_url"]
    gone = where | {"message_ts": "1.000000"}
    assert (await control.post("shortcuts", user="bram", callback_id="x", **gone))["error"] == (
        "message_not_found"
    )
