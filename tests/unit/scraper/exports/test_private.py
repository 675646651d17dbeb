"""What any sign calls private stays unread."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.exports.handmade import (
    CHANNELS,
    SECRET,
    base,
    said,
)
from tests.support.exports.people import TEAM
from tests.unit.scraper.exports.reading import read
from tests.unit.scraper.exports.refusing import refusal, zipped


@pytest.mark.parametrize("shape", [{}, {"board": "G1"}, "x", None, b"", b"[1", b"\xff"], ids=repr)
@pytest.mark.parametrize("name", ["groups.json", "dms.json", "mpims.json"])
def test_where_what_is_private_can_not_be_told_nothing_is_read(tmp_path: Path, name: str, shape: Any) -> None:
    refusal(zipped(tmp_path, base() | {name: shape}))


@pytest.mark.parametrize(
    ("public", "private", "folder"),
    [
        ("board", "board", "board"),
        ("strasse", "straße", "straße"),
        ("eng", "ENG", "ENG"),
        ("cafe\u0301", "café", "café"),
        ("café", "cafe\u0301", "cafe\u0301"),
        ("eng", "board", "board"),
        ("eng", "D0DIRECT", "D0DIRECT"),
        ("eng", "\ufb01x", "\ufb01x"),
        ("fix", "\ufb01x", "\ufb01x"),
    ],
)
@pytest.mark.parametrize("list_name", ["groups.json", "dms.json", "mpims.json"])
def test_a_private_folder_is_unread_whatever_a_public_one_is_called(
    tmp_path: Path, list_name: str, public: str, private: str, folder: str
) -> None:
    channels = [*CHANNELS, {"id": "C0OTHER", "name": public}]
    files = base() | {
        "channels.json": channels,
        list_name: [{"id": "G0PRIV", "name": private}, {"id": private}],
    }
    path = zipped(tmp_path, files | {f"{folder}/2024-01-02.json": [said(2, "a secret")]})
    assert [message.text for message in read(path, TEAM).messages] == [f"hello {SECRET}"]


@pytest.mark.parametrize("mark", [True, "true", 1, "yes"])
@pytest.mark.parametrize("key", ["is_private", "is_im", "is_mpim", "is_group"])
def test_a_channel_that_says_it_is_private_is_unread(tmp_path: Path, key: str, mark: Any) -> None:
    channels = [*CHANNELS, {"id": "C0OTHER", "name": "hr", key: mark}]
    path = zipped(tmp_path, base() | {"channels.json": channels, "hr/2024-01-02.json": [said(2, "a secret")]})
    assert [message.text for message in read(path, TEAM).messages] == [f"hello {SECRET}"]
