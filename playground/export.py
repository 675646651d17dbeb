"""The same workspace as a Slack export ZIP, as an admin's tool would give it."""

import json
import zipfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playground.channel import Channel
from playground.model import Message, SeedChannel, SeedWorkspace

# A fixed date: the same workspace gives the same bytes.
_ENTRY_DATE = (2026, 1, 1, 0, 0, 0)


def write_export_zip(workspace: SeedWorkspace, path: Path) -> None:
    """channels.json, users.json, one folder per channel with a file per day; private and DM files with names of
    their own, as a corporate export has them."""
    kinds = {"channels.json": "public", "groups.json": "private", "dms.json": "im"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, kind in kinds.items():
            _add(archive, name, [_entry(channel) for channel in workspace.channels if channel.kind == kind])
        _add(archive, "users.json", workspace.users)
        _add(archive, "integration_logs.json", [])
        for channel in workspace.channels:
            folder = channel.id if channel.kind == "im" else channel.name
            for day, messages in sorted(_days(channel).items()):
                _add(archive, f"{folder}/{day}.json", messages)


def _entry(channel: SeedChannel) -> dict[str, Any]:
    if channel.kind == "im":
        return {"id": channel.id, "created": channel.created, "members": channel.members}
    return {
        "id": channel.id,
        "name": channel.name,
        "created": channel.created,
        "creator": channel.creator,
        "is_archived": False,
        "is_general": channel.is_general,
        "members": channel.members,
        "topic": {"value": channel.topic, "creator": channel.creator, "last_set": channel.created},
        "purpose": {"value": channel.purpose, "creator": channel.creator, "last_set": channel.created},
    }


def _days(channel: SeedChannel) -> dict[str, list[Message]]:
    days: defaultdict[str, list[Message]] = defaultdict(list)
    live = Channel(channel)  # counts replies at their roots
    for message in live.everything():
        day = datetime.fromtimestamp(int(message["ts"].partition(".")[0]), UTC).strftime("%Y-%m-%d")
        replies = [{"user": reply.get("user"), "ts": reply["ts"]} for reply in live.replies(message["ts"])]
        days[day].append(message | ({"replies": replies} if replies else {}))
    return days


def _add(archive: zipfile.ZipFile, name: str, content: Any) -> None:
    info = zipfile.ZipInfo(name, _ENTRY_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, json.dumps(content, ensure_ascii=False, indent=1))
