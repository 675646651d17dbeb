"""Streamed messages, as slack_sdk sends them: in a thread, for somebody, metadata at the end, dead after a pause."""

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from playground.app import Running
from tests.integration.playground.playbox import Control

FOR: dict[str, Any] = {"recipient_team_id": "T0DOPPEL", "recipient_user_id": "U0ADA"}


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as error:
        await call
    return str(error.value.response["error"])


@pytest.fixture
async def root(client: AsyncWebClient) -> str:
    """A thread in #eng."""
    return str((await client.chat_postMessage(channel="C0ENG", text="a thread"))["ts"])


async def begun(client: AsyncWebClient, root: str) -> dict[str, Any]:
    """Where the stream that was begun stands."""
    answer = await client.chat_startStream(
        channel="C0ENG", thread_ts=root, markdown_text="one", username="Ada (AI)", **FOR
    )
    return {"channel": "C0ENG", "ts": str(answer["ts"])}


async def test_a_stream_grows_and_keeps_its_name(control: Control, client: AsyncWebClient, root: str) -> None:
    place = await begun(client, root)
    await client.chat_appendStream(**place, markdown_text=" two")
    assert await refused(client.chat_update(**place, text="x")) == "streaming_state_conflict"
    mark = {"event_type": "x", "event_payload": {"n": 1}}
    await client.chat_stopStream(**place, markdown_text=" three", metadata=mark)
    (message,) = (await control.messages("eng", thread_ts=root))["messages"][1:]
    assert (message["text"], message["username"]) == ("one two three", "Ada (AI)")
    assert message["metadata"] == mark
    assert (
        await refused(client.chat_appendStream(**place, markdown_text="x"))
        == "message_not_in_streaming_state"
    )
    await client.chat_update(**place, text="the end")


async def test_a_stream_needs_a_thread_and_a_reader(client: AsyncWebClient, root: str) -> None:
    begin = client.chat_startStream
    assert await refused(begin(channel="C0ENG", thread_ts="1.000000", **FOR)) == "thread_not_found"
    assert await refused(begin(channel="C0ENG", thread_ts=root)) == "missing_recipient_team_id"
    alone = begin(channel="C0ENG", thread_ts=root, recipient_team_id="T0DOPPEL")
    assert await refused(alone) == "missing_recipient_user_id"
    long = begin(channel="C0ENG", thread_ts=root, markdown_text="x" * 12_001, **FOR)
    assert await refused(long) == "msg_too_long"


async def test_a_stream_dies_of_a_pause_or_by_its_reader(
    control: Control, client: AsyncWebClient, running: Running, root: str
) -> None:
    place = await begun(client, root)
    await control.post("streams/stop", user="ada", channel="eng", ts=place["ts"])
    assert await refused(client.chat_appendStream(**place, markdown_text="x")) == "stopped_by_user"
    await client.chat_update(**place, text="what was written stays")
    place = await begun(client, root)
    running.workspace.streams["C0ENG", place["ts"]].at -= 301
    assert await refused(client.chat_stopStream(**place)) == "message_not_in_streaming_state"
    await client.chat_update(**place, text="finished otherwise")


async def test_a_status_stands_until_the_next_message(
    control: Control, client: AsyncWebClient, root: str
) -> None:
    async def status() -> Any:
        return (await control.messages("eng", thread_ts=root))["status"]

    await client.assistant_threads_setStatus(channel_id="C0ENG", thread_ts=root, status="thinks")
    assert await status() == {"status": "thinks", "username": None}
    await client.assistant_threads_setStatus(channel_id="C0ENG", thread_ts=root, status="")
    assert await status() is None
    await client.assistant_threads_setStatus(channel_id="C0ENG", thread_ts=root, status="thinks")
    await client.chat_postMessage(channel="C0ENG", thread_ts=root, text="done")
    assert await status() is None
