"""The real slack-sdk reads and writes the playground as it would Slack."""

from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from playground.app import Running
from tests.integration.playground.playbox import Control

SCENE = "one `code` & <@U0ADA> 😀"


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as error:
        await call
    return error.value.response["error"]


async def pages(client: AsyncWebClient, channel: str, limit: int, **window: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await client.conversations_history(channel=channel, limit=limit, cursor=cursor, **window)
        found += page["messages"]
        cursor = (page.get("response_metadata") or {}).get("next_cursor")
        assert bool(cursor) == page["has_more"]
        if not cursor:
            return found


async def test_the_bot_knows_itself_its_team_and_its_people(client: AsyncWebClient) -> None:
    who = await client.auth_test()
    assert (who["user_id"], who["bot_id"], who["team_id"]) == ("U0DOPPEL", "B0DOPPEL", "T0DOPPEL")
    assert "chat:write" in who.headers["x-oauth-scopes"]
    assert (await client.team_info())["team"]["id"] == "T0DOPPEL"
    assert (await client.users_info(user="U0GUEST"))["user"]["is_restricted"]
    assert (await client.bots_info(bot="B0DOPPEL"))["bot"]["user_id"] == "U0DOPPEL"
    assert await refused(client.users_info(user="U0NOBODY")) == "user_not_found"


async def test_listing_shows_public_channels_only_page_by_page(client: AsyncWebClient) -> None:
    names: list[str] = []
    cursor = None
    while True:
        page = await client.conversations_list(
            types="public_channel", exclude_archived=True, limit=2, cursor=cursor
        )
        names += [channel["name"] for channel in page["channels"]]
        cursor = page["response_metadata"]["next_cursor"]
        if not cursor:
            break
    assert sorted(names) == ["design", "eng", "general", "random", "support"]
    assert await refused(client.conversations_list(types="public_channel,private_channel")) == "missing_scope"


async def test_people_come_page_by_page(client: AsyncWebClient) -> None:
    people: list[str] = []
    async for page in await client.users_list(limit=5):
        people += [user["id"] for user in page["members"]]
    assert len(people) == len(set(people)) == 12
    assert {"U0ADA", "U0GONE", "USLACKBOT"} <= set(people)


async def test_paging_gives_each_message_once_newest_first_also_while_others_write(
    client: AsyncWebClient, control: Control
) -> None:
    whole = (await client.conversations_history(channel="C0ENG", limit=999))["messages"]
    first = await client.conversations_history(channel="C0ENG", limit=10)
    await control.post("messages", user="bram", channel="eng", text="in between")
    cursor = first["response_metadata"]["next_cursor"]
    second = await client.conversations_history(channel="C0ENG", limit=10, cursor=cursor)
    stamps = [message["ts"] for message in first["messages"] + second["messages"]]
    assert stamps == [message["ts"] for message in whole[:20]]
    assert stamps == sorted(stamps, reverse=True)
    assert len(await pages(client, "C0ENG", 37)) == len(whole) + 1


async def test_windows_leave_out_their_borders_unless_inclusive(client: AsyncWebClient) -> None:
    messages = (await client.conversations_history(channel="C0ENG", limit=20))["messages"]
    newest, oldest = messages[3]["ts"], messages[10]["ts"]
    inside = await pages(client, "C0ENG", 3, oldest=oldest, latest=newest)
    assert [each["ts"] for each in inside] == [each["ts"] for each in messages[4:10]]
    both = await client.conversations_history(channel="C0ENG", oldest=oldest, latest=newest, inclusive=True)
    assert len(both["messages"]) == 8


async def test_history_leaves_replies_to_replies(client: AsyncWebClient) -> None:
    roots = await pages(client, "C0ENG", 200)
    assert all(
        message.get("thread_ts") in (None, message["ts"]) or message["subtype"] == "thread_broadcast"
        for message in roots
    )
    root = next(message for message in roots if message.get("reply_count", 0) >= 3)
    thread = (await client.conversations_replies(channel="C0ENG", ts=root["ts"]))["messages"]
    assert thread[0]["ts"] == root["ts"]
    assert len(thread) == 1 + root["reply_count"]
    assert root["latest_reply"] == thread[-1]["ts"]
    page = await client.conversations_replies(channel="C0ENG", ts=root["ts"], limit=2)
    assert page["has_more"]
    rest = await client.conversations_replies(
        channel="C0ENG", ts=root["ts"], limit=2, cursor=page["response_metadata"]["next_cursor"]
    )
    assert rest["messages"][-1]["ts"] == thread[2]["ts"]
    assert await refused(client.conversations_replies(channel="C0ENG", ts="1.000001")) == "thread_not_found"


async def test_reading_needs_membership_and_private_places_do_not_exist(client: AsyncWebClient) -> None:
    assert await refused(client.conversations_history(channel="C0DESIGN")) == "not_in_channel"
    joined = await client.conversations_join(channel="C0DESIGN")
    assert joined["channel"]["is_member"]
    assert (await client.conversations_join(channel="C0DESIGN"))["warning"] == "already_in_channel"
    assert (await client.conversations_history(channel="C0DESIGN"))["messages"]
    for hidden in ("G0BOARD", "D0ADABRAM", "C0NOWHERE"):
        assert await refused(client.conversations_history(channel=hidden)) == "channel_not_found"


async def test_a_post_is_found_again_by_its_metadata_only_where_asked_for(client: AsyncWebClient) -> None:
    metadata = {"event_type": "doppel_reply", "event_payload": {"request_id": "r1", "part": 0}}
    root = await client.chat_postMessage(channel="C0GENERAL", text="root")
    posted = await client.chat_postMessage(
        channel="C0GENERAL", thread_ts=root["ts"], text=SCENE, metadata=metadata,
        username="Ada (AI)", icon_url="http://127.0.0.1:1/ada.png",
    )  # fmt: skip
    assert posted["message"]["subtype"] == "bot_message"
    assert "user" not in posted["message"]
    plain = (await client.conversations_replies(channel="C0GENERAL", ts=root["ts"]))["messages"]
    assert "metadata" not in plain[1]
    full = await client.conversations_replies(channel="C0GENERAL", ts=root["ts"], include_all_metadata=True)
    found = full["messages"][1]
    assert (found["metadata"], found["ts"], found["text"]) == (metadata, posted["ts"], SCENE)
    assert (found["username"], found["icons"]["image_48"]) == ("Ada (AI)", "http://127.0.0.1:1/ada.png")


async def test_an_update_keeps_identity_and_metadata_and_its_limit(client: AsyncWebClient) -> None:
    metadata = {"event_type": "x", "event_payload": {"n": 1}}
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "with blocks"}}]
    posted = await client.chat_postMessage(
        channel="C0GENERAL", text="one", blocks=blocks, metadata=metadata, username="Ada (AI)"
    )
    updated = await client.chat_update(channel="C0GENERAL", ts=posted["ts"], text="two")
    assert updated["text"] == "two"
    assert "blocks" not in updated["message"]
    assert (updated["message"]["username"], updated["message"]["metadata"]) == ("Ada (AI)", metadata)
    too_long = client.chat_update(channel="C0GENERAL", ts=posted["ts"], text="x" * 4001)
    assert await refused(too_long) == "msg_too_long"
    human = (await client.conversations_history(channel="C0ENG", limit=50))["messages"]
    stranger = next(message for message in human if "bot_id" not in message)
    assert (
        await refused(client.chat_update(channel="C0ENG", ts=stranger["ts"], text="x"))
        == "cant_update_message"
    )


async def test_refusals_are_slacks(
    client: AsyncWebClient, running: Running, http: aiohttp.ClientSession
) -> None:
    assert (
        await refused(client.api_call("chat.postMessage", json={"channel": "C0GENERAL", "text": ""}))
        == "no_text"
    )
    assert await refused(client.chat_postMessage(channel="C0DESIGN", text="x")) == "not_in_channel"
    assert await refused(client.api_call("made.up")) == "unknown_method"
    assert await refused(client.conversations_history(channel="C0GENERAL", cursor="***")) == "invalid_cursor"
    assert await refused(client.api_call("chat.postMessage", json={"text": "x"})) == "invalid_arguments"
    assert (
        await refused(client.apps_connections_open(app_token="xoxb-playground-bot"))
        == "not_allowed_token_type"
    )
    for token, code in (("", "not_authed"), ("xoxb-wrong", "invalid_auth")):
        async with http.post(
            f"{running.url}/api/auth.test", headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            assert (answer.status, (await answer.json())["error"]) == (200, code)
    await client.auth_revoke()
    assert await refused(client.auth_test()) == "token_revoked"


async def test_dms_open_once_and_not_with_bots(client: AsyncWebClient) -> None:
    opened = await client.conversations_open(users="U0ADA")
    again = await client.conversations_open(users=["U0ADA"])
    assert opened["channel"]["id"] == again["channel"]["id"]
    assert again["already_open"]
    posted = await client.chat_postMessage(channel=opened["channel"]["id"], text="May I?")
    history = await client.conversations_history(channel=opened["channel"]["id"])
    assert history["messages"][0]["ts"] == posted["ts"]
    assert await refused(client.conversations_open(users="U0DEPLOY")) == "cannot_dm_bot"
    assert await refused(client.conversations_open(users="U0GONE")) == "user_disabled"


async def test_an_ephemeral_is_for_one_member(client: AsyncWebClient, control: Control) -> None:
    shown = await client.chat_postEphemeral(channel="C0GENERAL", user="U0ADA", text="psst")
    assert [row["ts"] for row in (await control.messages("general", viewer="ada"))["ephemerals"]] == [
        shown["message_ts"]
    ]
    assert (await control.messages("general", viewer="bram"))["ephemerals"] == []
    stranger = client.chat_postEphemeral(channel="C0GENERAL", user="U0GUEST", text="x")
    assert await refused(stranger) == "user_not_in_channel"


async def test_views_open_once_within_three_seconds(client: AsyncWebClient, control: Control) -> None:
    ran = await control.post("commands", user="bram", channel="general", text="help")
    view = {"type": "modal", "title": {"type": "plain_text", "text": "x"}, "blocks": []}
    assert (await client.views_open(trigger_id=ran["trigger_id"], view=view))["view"]["team_id"] == "T0DOPPEL"
    assert await refused(client.views_open(trigger_id=ran["trigger_id"], view=view)) == "exchanged_trigger_id"
    assert (await client.views_publish(user_id="U0ADA", view=view | {"type": "home"}))["ok"]
