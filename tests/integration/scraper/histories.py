"""One little history, brought in three ways: what Slack's API shows, what its export holds, what a text file says."""

import csv
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from playground.app import Running
from playground.channel import Channel
from playground.export import write_export_zip
from playground.model import SeedWorkspace
from proto.conversation import Message, WordsOf
from services.scraper.core.normalise import Said, normalise
from services.scraper.core.text_rows import derive_channel_id
from tests.integration.scraper.desk import Desk


def said_in(workspace: SeedWorkspace) -> Iterator[tuple[str, Message]]:
    """``(channel name, message)`` of every public word."""
    channels = [channel for channel in workspace.channels if channel.kind == "public"]
    names = {user["id"]: _name(user) for user in workspace.users} | {each.id: each.name for each in channels}
    for channel in channels:
        for raw in Channel(channel).everything():
            outcome = normalise(raw, channel.id, names)
            if isinstance(outcome, Said):
                yield channel.name, outcome.message


def _name(user: dict[str, Any]) -> str:
    profile = user.get("profile", {})
    return profile.get("display_name") or profile.get("real_name") or user.get("name") or "someone"


def text_rows(workspace: SeedWorkspace) -> Iterator[dict[str, str]]:
    """The same as somebody's own tool would write it, who knows the authors' ids."""
    names = {user["id"]: _name(user) for user in workspace.users}
    for channel, message in said_in(workspace):
        yield {
            "author": names.get(message.user_id or "", ""),
            "author_id": message.user_id or "",
            "time": message.ts,
            "channel": channel,
            "text": message.text,
            "thread": message.thread_ts or "",
            "is_bot": "true" if message.words_of == WordsOf.APP else "",
        }


def write_jsonl(workspace: SeedWorkspace, path: Path) -> None:
    """One object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in text_rows(workspace)))


def write_csv(workspace: SeedWorkspace, path: Path) -> None:
    """As a spreadsheet saves it: with a mark, in two bytes a character."""
    with path.open("w", encoding="utf-16", newline="") as file:
        rows = list(text_rows(workspace))
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)


@dataclass(frozen=True)
class Way:
    """One way in."""

    name: str
    settings: dict[str, object]
    workspace: SeedWorkspace = field(repr=False)
    slack: Running | None = None

    @property
    def is_upload(self) -> bool:
        """Is there a file that must be gone afterwards?"""
        return self.slack is None

    async def bring(self, desk: Desk) -> str:
        """Put the history where the scraper finds it; returns the request's source."""
        if self.slack is not None:
            await desk.install()
            return "api"
        suffix = {"export": "zip"}.get(self.name, self.name)
        path = desk.folder / f"history.{suffix}"
        write = {"zip": write_export_zip, "jsonl": write_jsonl, "csv": write_csv}[suffix]
        write(self.workspace, path)
        return await desk.upload(path)

    def channel_id(self, name: str, known: str) -> str:
        """A text file knows names only."""
        return derive_channel_id(name) if self.name in ("jsonl", "csv") else known

    def truth(self) -> list[tuple[object, ...]]:
        """What a corpus of it must say."""
        return sorted(
            (
                self.channel_id(channel, m.channel_id),
                m.ts,
                m.thread_ts or "",
                m.user_id or "",
                m.words_of,
                m.text,
            )
            for channel, m in said_in(self.workspace)
        )


def as_said(messages: list[Message]) -> list[tuple[object, ...]]:
    """A corpus in the form of `Way.truth`."""
    return sorted(
        (m.channel_id, m.ts, m.thread_ts or "", m.user_id or "", m.words_of, m.text) for m in messages
    )


def write_long_text(path: Path, count: int = 400_000) -> Path:
    """A history that takes its time."""
    with path.open("w") as file:
        for number in range(count):
            row = {"author": f"p{number % 50}", "time": 1_700_000_000 + number, "channel": f"c{number % 7}"}
            file.write(json.dumps(row | {"text": f"message number {number} of a long history"}) + "\n")
    return path


def write_long_export(path: Path, count: int = 400_000) -> Path:
    """The same as an export."""
    days = 100
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("channels.json", json.dumps([{"id": "C0ENG", "name": "eng"}]))
        archive.writestr("users.json", json.dumps([{"id": "U0ADA", "name": "ada"}]))
        for day in range(days):
            said = [
                {"type": "message", "user": "U0ADA", "ts": f"{1_700_000_000 + day * 86_400 + number}.000100"}
                | {"text": f"message number {number} of a long day"}
                for number in range(count // days)
            ]
            archive.writestr(f"eng/{date(2024, 1, 1) + timedelta(days=day)}.json", json.dumps(said))
    return path
