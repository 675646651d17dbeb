"""The synthetic workspace is what it promises, and the same each time."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from playground.model import Message, SeedWorkspace
from playground.synthetic import make_workspace, write_export_zip

NOW = 1_780_000_000


@pytest.fixture(scope="module")
def workspace() -> SeedWorkspace:
    return make_workspace(7, now=NOW)


def public(workspace: SeedWorkspace) -> list[Message]:
    return [
        message for channel in workspace.channels if channel.kind == "public" for message in channel.messages
    ]


def test_it_is_large_and_varied_enough(workspace: SeedWorkspace) -> None:
    messages = public(workspace)
    people = {message["user"] for message in messages if "user" in message}
    assert len(messages) >= 2500
    assert len(people) >= 6
    assert sum(channel.kind == "public" for channel in workspace.channels) >= 4
    assert {channel.kind for channel in workspace.channels} == {"public", "private", "im"}
    for sign in ("```", "<https://", ":rocket:", "<@U0ADA>"):
        assert any(sign in message["text"] for message in messages), sign
    kinds = Counter(message.get("subtype") for message in messages)
    assert kinds["bot_message"]
    assert kinds["channel_join"]
    assert any("edited" in message for message in messages)
    assert any(message.get("reactions") for message in messages)
    users = {user["id"]: user for user in workspace.users}
    assert users["U0GUEST"]["is_restricted"]
    assert users["U0GONE"]["deleted"]
    assert "synthetic" in workspace.team_name.lower()


def test_ada_has_enough_to_learn_from_in_a_voice_of_her_own(workspace: SeedWorkspace) -> None:
    hers = [
        message
        for message in public(workspace)
        if message.get("user") == "U0ADA" and "subtype" not in message
    ]
    replies = [message for message in hers if "thread_ts" in message]
    assert len(hers) >= 450
    assert len(replies) >= 250
    assert all(message["text"].endswith("~ ada") for message in hers)
    assert all(message["text"].lower().replace("<@u0ada>", "") == message["text"] for message in hers)
    assert sum("splendid" in message["text"] for message in hers) > len(hers) / 3
    others = [message for message in public(workspace) if message.get("user") not in ("U0ADA", None)]
    assert not any("~ ada" in message["text"] for message in others)


def test_the_same_seed_tells_the_same_story(workspace: SeedWorkspace) -> None:
    assert make_workspace(7, now=NOW) == workspace
    assert make_workspace(8, now=NOW) != workspace


def test_time_lies_in_the_three_months_before_now_and_is_unique_per_channel(workspace: SeedWorkspace) -> None:
    for channel in workspace.channels:
        stamps = [message["ts"] for message in channel.messages]
        assert stamps == sorted(set(stamps))
        assert all(f"{NOW - 91 * 86_400}" <= stamp < f"{NOW}" for stamp in stamps)


def test_every_reply_has_its_root(workspace: SeedWorkspace) -> None:
    for channel in workspace.channels:
        stamps = {message["ts"] for message in channel.messages}
        assert all(message.get("thread_ts", message["ts"]) in stamps for message in channel.messages)


def test_a_small_one_is_small() -> None:
    assert 300 <= len(public(make_workspace(7, now=NOW, message_count=300))) <= 315


def test_the_export_holds_the_same_messages_by_day_and_channel(
    workspace: SeedWorkspace, tmp_path: Path
) -> None:
    write_export_zip(workspace, tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        names = archive.namelist()
        channels = json.loads(archive.read("channels.json"))
        folders = [channel["name"] for channel in channels]
        days = [name for name in names if name.partition("/")[0] in folders and name.endswith(".json")]
        messages = [message for day in days for message in json.loads(archive.read(day))]
        assert len(json.loads(archive.read("users.json"))) == len(workspace.users)
    assert {"integration_logs.json", "groups.json", "dms.json"} <= set(names)
    assert sorted(message["ts"] for message in messages) == sorted(
        message["ts"] for message in public(workspace)
    )
    roots = [message for message in messages if message.get("replies")]
    assert roots
    assert all(root["reply_count"] == len(root["replies"]) for root in roots)
