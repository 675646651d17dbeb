"""What goes out: signed, retried, to one gateway after the other."""

import asyncio
import json
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from playground.app import Running
from tests.integration.playground.playbox import Control, Receiver, eventually


async def mention(control: Control, text: str = "@doppel hello") -> dict[str, Any]:
    return await control.post("messages", user="bram", channel="general", text=text)


async def test_a_mention_arrives_signed_once_with_the_ts_that_is_stored(
    control: Control, receiver: Receiver
) -> None:
    posted = await mention(control, "@doppel what of <b> & #eng?")
    assert (await control.post("drain"))["drained"]
    (seen,) = receiver.requests
    assert seen["signed"]
    assert seen["body"]["event_id"] == posted["event_ids"][0]
    event = seen["body"]["event"]
    assert (event["type"], event["ts"], event["user"]) == ("app_mention", posted["ts"], "U0BRAM")
    assert event["text"] == "<@U0DOPPEL> what of &lt;b&gt; &amp; <#C0ENG|eng>?"
    assert seen["body"]["authorizations"][0]["team_id"] == "T0DOPPEL"


async def test_a_mention_is_two_events_where_both_are_subscribed(
    control: Control, receiver: Receiver
) -> None:
    await control.post("subscribe", events=["app_mention", "message.channels"])
    posted = await mention(control)
    await control.post("drain")
    assert sorted(event["type"] for event in receiver.events()) == ["app_mention", "message"]
    assert len(set(posted["event_ids"])) == 2
    assert {event["ts"] for event in receiver.events()} == {posted["ts"]}


async def test_the_bot_hears_itself_in_a_dm(
    control: Control, receiver: Receiver, client: AsyncWebClient
) -> None:
    channel = (await control.post("dm", user="ada"))["channel"]
    await client.chat_postMessage(channel=channel, text="hello Ada")
    await control.post("messages", user="ada", channel="@ada", text="hello you")
    await control.post("drain")
    assert {event.get("bot_id") for event in receiver.events()} == {"B0DOPPEL", None}
    assert {event["channel_type"] for event in receiver.events()} == {"im"}


async def test_nothing_comes_from_places_without_the_bot(control: Control, receiver: Receiver) -> None:
    await control.post("messages", user="grace", channel="design", text="@doppel hello")
    await control.post("drain")
    assert receiver.requests == []
    (hint,) = (await control.messages("design", viewer="grace"))["ephemerals"]
    assert "not in this channel" in hint["text"]


async def test_an_invited_bot_hears(control: Control, receiver: Receiver) -> None:
    await control.post("commands", user="grace", channel="design", command="/invite", text="@doppel")
    await control.post("messages", user="grace", channel="design", text="@doppel hello")
    await control.post("drain")
    assert len(receiver.requests) == 1


async def test_a_failing_gateway_gets_three_retries_with_their_reason(
    control: Control, receiver: Receiver
) -> None:
    receiver.answers = [503, 500, 503, 503]
    posted = await mention(control)
    await control.post("drain")
    assert [seen["retry"] for seen in receiver.requests] == [None, "1", "2", "3"]
    assert [seen["reason"] for seen in receiver.requests] == [None, "http_error", "http_error", "http_error"]
    assert {seen["body"]["event_id"] for seen in receiver.requests} == set(posted["event_ids"])
    events = await control("GET", "events", channel="C0GENERAL")
    assert [event["settled"] for event in events["events"]] == ["failed"]


async def test_no_retry_is_obeyed(control: Control, receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [503], {"X-Slack-No-Retry": "1"}
    await mention(control)
    await control.post("drain")
    assert len(receiver.requests) == 1


async def test_a_slow_gateway_counts_as_failed(control: Control, receiver: Receiver) -> None:
    receiver.delay_s = 1.3
    await mention(control)
    await eventually(lambda: len(receiver.requests) >= 2)
    assert receiver.requests[1]["reason"] == "http_timeout"
    receiver.delay_s = 0


async def test_a_retry_goes_to_the_next_gateway(
    control: Control, receiver: Receiver, second_receiver: Receiver
) -> None:
    await control("PUT", "gateways", {"urls": ["http://127.0.0.1:9", second_receiver.url]})
    await mention(control)
    await control.post("drain")
    assert (len(receiver.requests), len(second_receiver.requests)) == (0, 1)
    assert second_receiver.requests[0]["reason"] == "connection_failed"


async def test_the_same_event_is_delivered_again_to_whom_one_wants(
    control: Control, receiver: Receiver, second_receiver: Receiver
) -> None:
    await control("PUT", "gateways", {"urls": [receiver.url, second_receiver.url]})
    posted = await mention(control)
    await control.post("drain")
    (event_id,) = posted["event_ids"]
    assert (await control.post("redeliver", event_id=event_id, times=5))["statuses"] == [200] * 5
    assert (await control.post("redeliver", event_id=event_id, gateway=1))["statuses"] == [200]
    everything = receiver.requests + second_receiver.requests
    assert len(everything) == 7
    assert {seen["body"]["event_id"] for seen in everything} == {event_id}
    assert all(seen["signed"] for seen in everything)


async def test_an_edit_that_adds_a_mention_says_that_it_is_one(control: Control, receiver: Receiver) -> None:
    posted = await mention(control, "no mention yet")
    edit = {"user": "bram", "channel": "general", "ts": posted["ts"], "text": "now @doppel"}
    await control("PATCH", "messages", edit)
    await control.post("drain")
    (event,) = receiver.events()
    assert (event["type"], event["edited"]["user"]) == ("app_mention", "U0BRAM")


async def test_a_command_is_a_form_and_its_answer_is_seen_by_one(
    control: Control, receiver: Receiver
) -> None:
    receiver.bodies = [{"response_type": "ephemeral", "text": "training Ada"}]
    ran = await control.post("commands", user="bram", channel="general", text="train @ada")
    assert ran["status"] == 200
    (seen,) = receiver.requests
    assert seen["signed"]
    assert seen["body"]["text"] == "train <@U0ADA|ada>"
    assert (seen["body"]["user_id"], seen["body"]["trigger_id"]) == ("U0BRAM", ran["trigger_id"])
    (shown,) = (await control.messages("general", viewer="bram"))["ephemerals"]
    assert shown["text"] == "training Ada"


async def test_a_command_without_answer_says_so_and_is_not_repeated(
    control: Control, receiver: Receiver
) -> None:
    receiver.answers = [500]
    await control.post("commands", user="bram", channel="general", text="help")
    (shown,) = (await control.messages("general", viewer="bram"))["ephemerals"]
    assert "dispatch_failed" in shown["text"]
    assert len(receiver.requests) == 1


async def test_a_response_url_works_five_times(
    control: Control, receiver: Receiver, http: aiohttp.ClientSession
) -> None:
    ran = await control.post("commands", user="bram", channel="general", text="help")
    answers: list[tuple[int, str]] = []
    for number in range(6):
        async with http.post(ran["response_url"], json={"text": f"answer {number}"}) as answer:
            answers.append((answer.status, await answer.text()))
    assert answers == [(200, "ok")] * 5 + [(404, "used_url")]
    assert len((await control.messages("general", viewer="bram"))["ephemerals"]) == 5


async def test_a_button_tells_who_pressed_what_where_and_may_be_replaced(
    control: Control, receiver: Receiver, client: AsyncWebClient, http: aiohttp.ClientSession
) -> None:
    channel = (await control.post("dm", user="ada"))["channel"]
    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Allow"},
        "action_id": "allow",
        "value": "v1",
    }
    blocks = [{"type": "actions", "block_id": "consent", "elements": [button]}]
    posted = await client.chat_postMessage(channel=channel, text="May I?", blocks=blocks)
    press = {"user": "ada", "channel": channel, "message_ts": posted["ts"], "action_id": "allow"}
    await control.post("drain")
    assert (await control.post("actions", **press))["status"] == 200
    payload = json.loads(receiver.requests[-1]["body"]["payload"])
    assert (payload["type"], payload["user"]["id"]) == ("block_actions", "U0ADA")
    action = payload["actions"][0]
    assert (action["action_id"], action["block_id"], action["value"]) == ("allow", "consent", "v1")
    assert payload["container"]["message_ts"] == payload["message"]["ts"] == posted["ts"]
    async with http.post(
        payload["response_url"], json={"replace_original": True, "text": "Thank you"}
    ) as answer:
        assert await answer.text() == "ok"
    (shown,) = (await control.messages(channel))["messages"]
    assert shown["text"] == "Thank you"
    assert "blocks" not in shown
    assert (await control.post("actions", **press))["error"] == "action_not_found"


async def test_duplicates_disorder_and_loss_can_be_switched_on(control: Control, receiver: Receiver) -> None:
    await control.post("faults", on="events", kind="duplicate", times=3)
    await mention(control, "@doppel one")
    await control.post("drain")
    assert len(receiver.requests) == 3
    await control.post("faults", on="events", kind="reorder")
    await mention(control, "@doppel two")
    await mention(control, "@doppel three")
    await control.post("drain")
    assert [event["text"].split()[-1] for event in receiver.events()[3:]] == ["three", "two"]
    await control.post("faults", on="events", kind="drop")
    await mention(control, "@doppel four")
    await control.post("faults", on="events", kind="bad_signature")
    await mention(control, "@doppel five")
    await control.post("drain")
    assert len(receiver.requests) == 6
    assert not receiver.requests[-1]["signed"]


async def test_any_request_can_be_made_by_hand(control: Control, receiver: Receiver) -> None:
    body = {"type": "url_verification", "challenge": "c", "token": "t"}
    answer = await control.post("raw", path="/slack/events", json=body)
    assert answer["status"] == 200
    for kind in ("bad", "missing", "old"):
        await control.post("raw", path="/slack/events", json=body, signature=kind)
    assert [seen["signed"] for seen in receiver.requests] == [True, False, False, False]


async def test_the_page_hears_of_it(control: Control, running: Running, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{running.url}/playground/stream") as stream:
        assert stream.content_type == "text/event-stream"
        await stream.content.readuntil(b"\n\n")
        await mention(control)
        async with asyncio.timeout(5):
            assert (await stream.content.readuntil(b"\n\n")).startswith(b"event: message")


async def test_a_foreign_page_is_refused(running: Running, http: aiohttp.ClientSession) -> None:
    headers = {"Origin": "https://evil.example"}
    async with http.post(f"{running.url}/playground/reset", headers=headers) as answer:
        assert answer.status == 403


async def test_a_reset_brings_the_seeded_history_back(control: Control, running: Running) -> None:
    before = running.workspace.counts()
    await mention(control)
    assert running.workspace.counts() != before
    await control.post("reset")
    assert running.workspace.counts() == before
    posted = await mention(control)
    assert posted["event_ids"]


async def test_reactions_are_told_where_asked_for(control: Control, receiver: Receiver) -> None:
    posted = await control.post("messages", user="bram", channel="general", text="a release!")
    reaction = {"channel": "general", "ts": posted["ts"], "name": "tada"}
    await control.post("subscribe", events=["app_mention"])
    await control.post("reactions", user="ada", **reaction)
    await control.post("drain")
    assert receiver.events() == []
    await control.post("subscribe", events=["reaction_added"])
    await control.post("reactions", user="bram", **reaction)
    await control.post("drain")
    (event,) = receiver.events()
    assert (event["type"], event["user"], event["reaction"]) == ("reaction_added", "U0BRAM", "tada")
    assert (event["item"]["ts"], event["item_user"]) == (posted["ts"], "U0BRAM")
