"""Whatever stands in headers and bodies: never a 5xx; what is refused is on no bus; what is let in harms no worker."""

import asyncio
import contextlib
import copy
import gzip
import json
import zlib
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.gateway.rig import Rig
from tests.integration.gateway.test_door import signed
from tests.support.waiting import eventually

NOBODY = "T9NOBODY"  # the app is not installed there: what is well-formed ends at the worker
PATHS = ["/slack/events", "/slack/commands", "/slack/interactivity"]
ANSWER_S = 30.0
PATIENCE_S = 0.2  # many of these requests are not at their end: there is no answer to wait for
EXAMPLES = 50

EVENT: dict[str, Any] = {
    "type": "event_callback",
    "team_id": NOBODY,
    "api_app_id": "A0DOPPEL",
    "event_id": "EvMALFORMED",
    "event_time": 1,
    "authorizations": [{"team_id": NOBODY, "enterprise_id": None, "user_id": "U1", "is_enterprise_install": False}],
    "event": {
        "type": "app_mention", "channel": "C1", "user": "U1", "text": "<@U0DOPPEL> hello", "ts": "1.000001",
        "bot_profile": {"name": "x"}, "edited": {"user": "U1", "ts": "1.000001"}, "blocks": [{"type": "rich_text"}],
    },
}  # fmt: skip
EVENTS = [
    EVENT,
    EVENT | {"event": {"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": []}}},
    EVENT | {"event": {"type": "team_access_granted", "team_ids": [NOBODY]}},
    EVENT | {"event": {"type": "member_joined_channel", "user": "U1", "channel": "C1", "inviter": "U2"}},
    {"type": "app_rate_limited", "team_id": NOBODY, "minute_rate_limited": 1, "api_app_id": "A0DOPPEL"},
    {"type": "url_verification", "challenge": "c0ffee", "token": "x"},
]
COMMAND = {
    "team_id": NOBODY, "api_app_id": "A0DOPPEL", "channel_id": "C1", "user_id": "U1", "user_name": "ada",
    "command": "/doppel", "text": "ask <@U2|ada> why?", "trigger_id": "malformed.1", "enterprise_id": "",
}  # fmt: skip
PRESSED: dict[str, Any] = {
    "type": "block_actions", "api_app_id": "A0DOPPEL", "trigger_id": "malformed.2", "team": {"id": NOBODY},
    "user": {"id": "U1", "team_id": NOBODY}, "container": {"channel_id": "C1", "message_ts": "1.000001"},
    "actions": [{"action_id": "consent_allow", "value": "x", "block_id": "b"}],
}  # fmt: skip
FIELD = {"value": "words", "selected_user": "U1", "selected_option": {"value": "ask"}, "selected_options": []}
FORM = PRESSED | {
    "type": "view_submission",
    "view": {"id": "V1", "callback_id": "menu", "state": {"values": {"what": {"what": FIELD}}}},
}

words = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "\x00", "\ud800", "\u202e", "../../x", "T" * 600, "<!channel>", "as <@U1>", "\ufeff", "'"]
    ),
)
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**400), words, st.just(float("nan"))
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def spoiled(draw: st.DrawFn, *originals: dict[str, Any]) -> str:
    """One of these as JSON, with a value somewhere in it replaced, taken away, or nested deep."""
    whole = copy.deepcopy(draw(st.sampled_from(originals)))
    place: Any = whole
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        how = draw(st.sampled_from(["replace", "take away", "nest"]))
        if how == "take away":
            del place[key]
        elif how == "nest":
            for _ in range(draw(st.sampled_from([1, 60, 300]))):
                place[key] = {"x": [place[key]]}
        else:
            place[key] = draw(values)
        return json.dumps(whole)


async def stored(rig: Rig) -> int:
    return (await rig.engine.jetstream.stream_info("SLACK_EVENT")).state.last_seq


async def knocked(rig: Rig, path: str, body: bytes, **headers: str) -> int:
    """A signed request of Slack's; its status."""
    url = rig.replicas[0].url + path
    async with rig.workspace.http.post(url, data=body, headers=signed(body) | headers) as answer:
        await answer.read()
        return answer.status


async def survives(rig: Rig, path: str, body: bytes) -> None:
    before = await stored(rig)
    status = await knocked(rig, path, body)
    assert status in (200, 400), (status, body[:2000])
    if status == 400:
        assert await stored(rig) == before


@settings(max_examples=EXAMPLES)
@given(body=spoiled(*EVENTS))
async def test_a_spoiled_event_is_taken_or_refused(rig: Rig, body: str) -> None:
    await survives(rig, PATHS[0], body.encode())


@settings(max_examples=EXAMPLES)
@given(form=spoiled(COMMAND), extra=st.binary(max_size=8))
async def test_a_spoiled_command_is_taken_or_refused(rig: Rig, form: str, extra: bytes) -> None:
    fields = {k: v if isinstance(v, str) else json.dumps(v) for k, v in json.loads(form).items()}
    await survives(rig, PATHS[1], urlencode(fields, errors="replace").encode() + extra)


@settings(max_examples=EXAMPLES)
@given(payload=spoiled(PRESSED, FORM, PRESSED | {"type": "shortcut", "callback_id": "menu"}))
async def test_a_spoiled_interaction_is_taken_or_refused(rig: Rig, payload: str) -> None:
    await survives(rig, PATHS[2], urlencode({"payload": payload}).encode())


@settings(max_examples=EXAMPLES)
@given(path=st.sampled_from(PATHS), body=st.binary(max_size=200))
async def test_noise_is_refused(rig: Rig, path: str, body: bytes) -> None:
    before = await stored(rig)
    assert await knocked(rig, path, body) in ((400,) if b"ssl_check" not in body else (200, 400))
    assert await stored(rig) == before


async def spoken(rig: Rig, request: bytes, within_s: float = ANSWER_S) -> int | None:
    """Raw bytes to the door; the status, None where it hung up, or still waits for more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.replicas[0].port)
    try:
        writer.write(request)
        try:
            async with asyncio.timeout(within_s):
                line = await reader.readline()
        except (TimeoutError, ConnectionError):
            return None
        return int(line.split()[1]) if line else None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def request_of(path: str, body: bytes, *headers: tuple[str, str]) -> bytes:
    """A signed request as bytes, with these headers instead of a length."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in [*signed(body).items(), *headers]]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


GOOD = json.dumps(EVENT | {"event_id": "EvNEVER"}).encode()
LENGTH = ("Content-Length", str(len(GOOD)))
lines = st.one_of(
    st.sampled_from(
        [
            "X-Slack-Signature: v0=" + "0" * 64, "X-Slack-Request-Timestamp: 1", "Content-Length: -1",
            "Content-Length: 0x10", f"Content-Length: {10**30}", "Content-Length: 5", "Transfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked", "Content-Encoding: gzip", "Content-Encoding: deflate",
            "Content-Encoding: br", "Content-Encoding: zstd", "Content-Encoding: compress", "Expect: 100-continue",
            "Expect: miracles", "Content-Type: multipart/form-data; boundary=", "Content-Type: a/b; charset=klingon",
            "Cookie: \x01=\x02; =; a", "Host: \u00ff", "Upgrade: websocket", "Connection: Upgrade", "X" * 9000 + ": y",
            "X: " + "y" * 9000, ": empty", "no colon", " folded", "X\x00Y: z", "Range: bytes=9-1",
        ]
    ),
    st.text(st.characters(max_codepoint=255), max_size=40),
)  # fmt: skip


@settings(max_examples=EXAMPLES)
@given(
    start=st.sampled_from(
        [
            "POST /slack/events HTTP/1.1", "POST /slack/commands HTTP/1.0", "GET /slack/events HTTP/1.1",
            "POST /slack/interactivity HTTP/1.1", "POST /slack/%ff%00 HTTP/1.1", "POST //slack/events?%zz HTTP/1.1",
            "POST http://[::1/slack/events HTTP/1.1", "PRI * HTTP/2.0", "POST /slack/events", "\x00", "POST * HTTP/9.9",
            "HEAD /slack/install?team=%ff HTTP/1.1", "GET /slack/oauth_redirect?code=%00&state=%ff HTTP/1.1",
            "GET /avatars/%00.png HTTP/1.1", "CONNECT x:1 HTTP/1.1", "TRACE /slack/events HTTP/1.1",
        ]
    ),
    headers=st.lists(lines, max_size=4),
    body=st.one_of(st.binary(max_size=60), st.just(b"5\r\nhello\r\n0\r\n\r\n"), st.just(GOOD)),
)  # fmt: skip
async def test_a_spoiled_request_is_refused(rig: Rig, start: str, headers: list[str], body: bytes) -> None:
    before = await stored(rig)
    head = "\r\n".join([start, "Host: x", *headers]) + "\r\n\r\n"
    status = await spoken(rig, head.encode("latin-1", "replace") + body, within_s=PATIENCE_S)
    assert status is None or 200 < status < 500 or status in (100, 501, 505), (status, start, headers)
    assert await stored(rig) == before


async def test_a_body_that_is_not_what_its_headers_say_is_refused(rig: Rig) -> None:
    """Signed, so that nothing but the body itself is wrong."""
    bomb = gzip.compress(bytes(50_000_000))
    before = await stored(rig)
    for body, header in [
        (GOOD, ("Content-Encoding", "gzip")),
        (GOOD, ("Content-Encoding", "deflate")),
        (gzip.compress(GOOD)[:-9], ("Content-Encoding", "gzip")),
        (zlib.compress(GOOD)[:20], ("Content-Encoding", "deflate")),
        (bomb, ("Content-Encoding", "gzip")),
    ]:
        request = request_of(PATHS[0], body, header, ("Content-Length", str(len(body))))
        assert await spoken(rig, request) in (400, 401, 413, 415), header
    for chunks in (b"zz\r\nhello\r\n", b"5\r\nhel", b"-5\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloo\r\n0\r\n\r\n"):
        head = request_of(PATHS[0], b"", ("Transfer-Encoding", "chunked"))
        assert await spoken(rig, head + chunks) in (None, 400, 401, 408), chunks
    short = request_of(PATHS[0], GOOD, ("Content-Length", str(len(GOOD) + 10)))
    assert await spoken(rig, short) in (None, 400, 401, 408)
    assert await stored(rig) == before


async def test_the_same_signed_request_again_is_one_event(rig: Rig) -> None:
    body = json.dumps(EVENT | {"event_id": "EvREPLAYED"}).encode()
    headers, before = signed(body), await stored(rig)
    for replica in (*rig.replicas, *rig.replicas):
        async with rig.workspace.http.post(
            f"{replica.url}/slack/events", data=body, headers=headers
        ) as answer:
            assert answer.status == 200
    assert await stored(rig) == before + 1


async def test_none_of_it_harmed_a_worker(rig: Rig) -> None:
    """What was let in has passed through the gateway: nothing is parked, nothing waits, and it still answers."""

    async def idle() -> bool:
        info = await rig.engine.jetstream.consumer_info("SLACK_EVENT", "gateway")
        return info.num_pending == 0 and info.num_ack_pending == 0

    await eventually(idle, what="the gateway has nothing to do", within_s=60)
    assert await rig.facts("dead.slack.event") == []
    assert "Error handling request" not in rig.replicas[0].log.read_text()
    asked = await rig.workspace.say("bram", "general", "@doppel still afloat?")
    await rig.engine.answer(await rig.engine.question_about("still afloat"), "Yes.")
    await rig.workspace.reply("general", asked["ts"], within_s=30)
