"""slack_sdk's synchronous clients and Bolt for Python, unchanged, against the playground."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from aiohttp import web
from slack_bolt import App
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.oauth.installation_store import FileInstallationStore
from slack_sdk.oauth.state_store import FileOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient

from playground.app import Running
from tests.integration.foreign.conftest import SECRET
from tests.integration.playground.playbox import Control
from tests.support.waiting import eventually

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
VIEW: dict[str, Any] = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "A form"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input", "block_id": "word", "label": {"type": "plain_text", "text": "Word"},
            "element": {"type": "plain_text_input", "action_id": "typed"},
        }
    ],
}  # fmt: skip
PRESS = {
    "type": "actions",
    "elements": [
        {
            "type": "button",
            "action_id": "press",
            "value": "7",
            "text": {"type": "plain_text", "text": "Press"},
        }
    ],
}


@pytest.fixture(autouse=True)
def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """slack_sdk would go through it, to this machine too."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def client_of(running: Running) -> WebClient:
    return WebClient("xoxb-playground-bot", base_url=f"{running.url}/api/", retry_handlers=[])


async def thread(control: Control, ts: str, team: str = "") -> list[dict[str, Any]]:
    return (await control("GET", f"{team}messages", channel="general", thread_ts=ts))["messages"]


async def reply_to(control: Control, ts: str, text: str, team: str = "") -> dict[str, Any]:
    """The bot's answer in that thread, once it says this."""

    async def said() -> dict[str, Any] | None:
        return next((each for each in (await thread(control, ts, team))[1:] if each["text"] == text), None)

    return await eventually(said, what=f"a reply {text!r}")


def use_the_web_api(client: WebClient) -> None:
    """Synchronous, urllib: another transport than the gateway's."""
    assert client.api_test(foo="bar")["args"]["foo"] == "bar"  # type: ignore[index]
    root = client.chat_postMessage(channel="C0GENERAL", text="root", unfurl_links=False)
    for number in range(5):
        client.chat_postMessage(channel="C0GENERAL", thread_ts=root["ts"], text=f"reply {number}")
    pages = client.conversations_replies(channel="C0GENERAL", ts=str(root["ts"]), limit=3)
    texts = {each["ts"]: each["text"] for page in pages for each in page["messages"]}
    assert list(texts.values()) == ["root", *(f"reply {number}" for number in range(5))]

    on = {"channel": "C0GENERAL", "timestamp": str(root["ts"])}
    client.reactions_add(name="clap", **on)
    assert client.reactions_get(**on)["message"]["reactions"][0]["users"] == ["U0DOPPEL"]  # type: ignore[index]
    client.reactions_remove(name="clap", **on)
    with pytest.raises(SlackApiError, match="no_reaction"):
        client.reactions_remove(name="clap", **on)

    uploaded = client.files_upload_v2(
        filename="p.png", content=PNG, title="Dots", channel="C0GENERAL", thread_ts=str(root["ts"])
    )
    shared = client.files_info(file=uploaded["files"][0]["id"])["file"]  # type: ignore[index]
    assert (shared["title"], shared["shares"]["public"]["C0GENERAL"][0]["thread_ts"]) == ("Dots", root["ts"])

    client.views_publish(user_id="U0ADA", view={"type": "home", "blocks": []})
    client.chat_delete(channel="C0GENERAL", ts=str(root["ts"]))
    with pytest.raises(SlackApiError, match="message_not_found"):
        client.chat_update(channel="C0GENERAL", ts=str(root["ts"]), text="x")


async def test_the_synchronous_client_reads_and_writes(running: Running) -> None:
    await asyncio.to_thread(use_the_web_api, client_of(running))


async def test_where_it_is_too_fast_it_waits_as_long_as_it_is_told(
    running: Running, control: Control
) -> None:
    client = client_of(running)
    await control.post("faults", on="chat.postMessage", kind="ratelimited", retry_after=3)
    with pytest.raises(SlackApiError) as refused:
        await asyncio.to_thread(client.chat_postMessage, channel="C0GENERAL", text="x")
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "3"
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    await control.post("faults", on="chat.postMessage", kind="ratelimited", retry_after=1)
    assert (await asyncio.to_thread(client.chat_postMessage, channel="C0GENERAL", text="x"))["ok"]


async def test_the_clients_own_socket_serves_bolt(running: Running, control: Control) -> None:
    """slack_sdk's builtin WebSocket is its own code, not aiohttp's."""
    app = await asyncio.to_thread(lambda: App(client=client_of(running), logger=quiet()))

    @app.event("app_mention")
    def answer(event: dict[str, Any], say: Any) -> None:
        say(text="over a socket", thread_ts=event["ts"])

    @app.command("/doppel")
    def command(ack: Any, command: dict[str, Any]) -> None:
        ack(f"ran {command['text']}")

    handler = SocketModeHandler(app, "xapp-playground-app", ping_interval=1)
    try:
        await asyncio.to_thread(handler.connect)
        asked = await control.post("messages", user="bram", channel="general", text="@doppel hello")
        await reply_to(control, asked["ts"], "over a socket")
        ran = await control.post("commands", user="bram", channel="general", text="help")
        assert ran["response"]["text"] == "ran help"

        first = running.sockets.connections[0]
        await control.post("sockets/disconnect", close=False)  # it closes and comes back by itself
        await eventually(lambda: another(running, first), what="a new socket")
        again = await control.post("messages", user="bram", channel="general", text="@doppel again")
        await reply_to(control, again["ts"], "over a socket")
    finally:
        await asyncio.to_thread(handler.close)


async def another(running: Running, than: object) -> bool:
    """Is there one socket, and not the one from before?"""
    ready = [each for each in running.sockets.connections if each.is_ready]
    return len(ready) == 1 and ready[0] is not than


def quiet() -> logging.Logger:
    """Bolt's complaints, nothing below."""
    logger = logging.getLogger("foreign.bolt")
    logger.setLevel(logging.ERROR)
    return logger


def asked_for(app: AsyncApp, submitted: list[str]) -> None:
    """What this app does, the same over HTTP and over a socket."""

    @app.event("app_mention")
    async def mention(event: dict[str, Any], say: Any) -> None:
        await say(text="heard", thread_ts=event["ts"], blocks=[PRESS])

    @app.command("/doppel")
    async def command(ack: Any, command: dict[str, Any], client: AsyncWebClient) -> None:
        if command["text"] == "form":
            await client.views_open(trigger_id=command["trigger_id"], view=VIEW)
        await ack(response_type="in_channel", text=f"ran {command['text']}")

    @app.action("press")
    async def press(ack: Any, action: dict[str, Any], respond: Any) -> None:
        await ack()
        await respond(text=f"pressed {action['value']}", replace_original=True)

    @app.view("form")
    async def form(ack: Any, view: dict[str, Any]) -> None:
        word = view["state"]["values"]["word"]["typed"]["value"]
        if word == "no":
            await ack(response_action="errors", errors={"word": "Not that."})
        elif word == "more":
            await ack(response_action="update", view=VIEW | {"private_metadata": "more"})
        else:
            submitted.append(word)
            await ack()


@pytest.fixture(params=["http", "socket"])
async def served(
    running: Running, control: Control, request: pytest.FixtureRequest
) -> AsyncIterator[list[str]]:
    """A Bolt app that hears the playground; what was put into its form."""
    client = AsyncWebClient("xoxb-playground-bot", base_url=f"{running.url}/api/")
    app = AsyncApp(client=client, signing_secret=SECRET, logger=quiet())
    submitted: list[str] = []
    asked_for(app, submitted)
    if request.param == "http":
        runner = await listening(app, running)
        yield submitted
        await runner.cleanup()
        return
    handler = AsyncSocketModeHandler(app, "xapp-playground-app")
    await handler.connect_async()
    await eventually(lambda: another(running, None), what="a socket")
    yield submitted
    await handler.close_async()


async def listening(app: AsyncApp, running: Running) -> web.AppRunner:
    """Serve Bolt where the playground delivers."""

    async def handle(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    site = web.Application()
    site.router.add_post("/slack/{name}", handle)
    if (flow := app.oauth_flow) is not None:

        async def install(request: web.Request) -> web.Response:
            return await to_aiohttp_response(await flow.handle_installation(await to_bolt_request(request)))

        async def back(request: web.Request) -> web.Response:
            return await to_aiohttp_response(await flow.handle_callback(await to_bolt_request(request)))

        site.router.add_get("/slack/install", install)
        site.router.add_get("/slack/oauth_redirect", back)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    running.box.gateway_urls[:] = [f"http://127.0.0.1:{runner.addresses[0][1]}"]
    return runner


async def test_bolt_answers_a_mention_and_its_button(served: list[str], control: Control) -> None:
    asked = await control.post("messages", user="bram", channel="general", text="@doppel hello")
    reply = await reply_to(control, asked["ts"], "heard")
    pressed = await control.post(
        "actions", user="bram", channel="general", message_ts=reply["ts"], action_id="press"
    )
    assert pressed["status"] == 200
    await reply_to(control, asked["ts"], "pressed 7")


async def test_bolt_answers_a_command_and_a_form(served: list[str], control: Control) -> None:
    ran = await control.post("commands", user="ada", channel="general", text="form")
    assert ran["response"]["text"] == "ran form"
    (view,) = (await control("GET", "views", user="ada"))["views"]
    form = {"user": "ada", "view_id": view["id"]}
    refused = await control.post("views", values={"word": "no"}, **form)
    assert refused["response"]["errors"] == {"word": "Not that."}
    await control.post("views", values={"word": "more"}, **form)
    (view,) = (await control("GET", "views", user="ada"))["views"]
    assert (view["id"], view["private_metadata"]) == (form["view_id"], "more")
    await control.post("views", values={"word": "kelp"}, **form)
    assert (served, (await control("GET", "views", user="ada"))["views"]) == (["kelp"], [])


async def test_bolt_refuses_what_is_not_signed(running: Running, control: Control) -> None:
    app = AsyncApp(
        client=AsyncWebClient("xoxb-playground-bot", base_url=f"{running.url}/api/"),
        signing_secret=SECRET,
        logger=quiet(),
    )
    runner = await listening(app, running)
    for signature, status in (("good", 200), ("bad", 401), ("missing", 401), ("old", 401)):
        challenge = {"type": "url_verification", "challenge": "c0ffee"}
        answer = await control.post("raw", path="/slack/events", json=challenge, signature=signature)
        assert (answer["status"], "c0ffee" in answer["body"]) == (status, status == 200), signature
    await runner.cleanup()


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")  # slack_sdk's use of aiohttp
async def test_bolt_is_installed_by_oauth_and_answers_with_its_own_token(
    running: Running, control: Control, tmp_path: Path
) -> None:
    api = f"{running.url}/api/"
    app = AsyncApp(
        client=AsyncWebClient(base_url=api),
        signing_secret=SECRET,
        logger=quiet(),
        oauth_settings=AsyncOAuthSettings(
            client_id="playground-client",
            client_secret="playground-client-secret",
            scopes=["chat:write", "app_mentions:read"],
            redirect_uri="http://127.0.0.1/slack/oauth_redirect",
            authorization_url=f"{running.url}/oauth/v2/authorize",
            install_page_rendering_enabled=False,
            installation_store=FileInstallationStore(base_dir=str(tmp_path), client_id="c"),
            state_store=FileOAuthStateStore(expiration_seconds=600, base_dir=str(tmp_path), client_id="c"),
        ),
    )
    asked_for(app, [])
    runner = await listening(app, running)
    (base,) = running.box.gateway_urls
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as browser:
        async with browser.get(f"{base}/slack/install", allow_redirects=False) as begun:
            asked, cookies = begun.headers["Location"], {k: v.value for k, v in begun.cookies.items()}
        form = dict(parse_qsl(urlsplit(asked).query)) | {"place": "T1OTHER"}
        async with browser.post(
            f"{running.url}/oauth/v2/authorize", data=form, allow_redirects=False
        ) as allowed:
            back = urlsplit(allowed.headers["Location"])
        url = f"{base}{back.path}?{back.query}"
        async with browser.get(url, cookies=cookies) as done:
            assert done.status == 200, await done.text()
        async with browser.get(url, cookies=cookies) as again:
            assert again.status == 401  # a state is good once
    said = await control.post("teams/T1OTHER/messages", user="bram", channel="general", text="@doppel hi")
    await reply_to(control, said["ts"], "heard", "teams/T1OTHER/")
    await runner.cleanup()
