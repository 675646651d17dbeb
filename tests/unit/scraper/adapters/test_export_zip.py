"""Exports as they come: odd, hostile, broken. Whatever they are, they are read right or refused in one sentence."""

import json
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proto.conversation import Message
from proto.errors import ExportInvalid
from services.scraper.adapters.building import Built, build_from_export
from services.scraper.adapters.export_zip import ExportZip
from services.scraper.adapters.shards import read_lines
from services.scraper.adapters.work import Stopped, Work
from services.scraper.core.archive import Limits
from services.scraper.core.source import TsWindow

TEAM = "T1"
USERS = [{"id": "U0ADA", "team_id": TEAM, "name": "ada"}, {"id": "U0BRAM", "name": "bram"}]
CHANNELS = [{"id": "C0ENG", "name": "eng"}]
BASE: dict[str, Any] = {"channels.json": CHANNELS, "users.json": USERS}


def said(number: int, text: str = "hello there", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "user": "U0ADA", "ts": f"17000000{number:02d}.000100", "text": text} | fields


def make(path: Path, files: dict[str, Any] | list[tuple[str, Any]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            raw = content if isinstance(content, (str, bytes)) else json.dumps(content)
            archive.writestr(name, raw)
    return path


def build(
    tmp_path: Path,
    files: dict[str, Any] | list[tuple[str, Any]],
    window: TsWindow | None = None,
    limits: Limits | None = None,
) -> Built:
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    path = make(tmp_path / "x.zip", files)
    return build_from_export(path, TEAM, window or TsWindow(), folder, Work(), limits=limits)


def messages(built: Built) -> list[Message]:
    return [
        m for shard in built.shards for m in read_lines(built.folder / shard.name.rpartition("/")[2], Message)
    ]


def texts(built: Built) -> list[str]:
    return [message.text for message in messages(built)]


def test_a_thread_follows_its_root_whatever_the_day_and_order(tmp_path: Path) -> None:
    files = BASE | {
        "eng/2024-02-01.json": [said(30, "late reply", thread_ts="1700000010.000100")],
        "eng/2024-01-01.json": [said(20, "second root"), said(10, "root", thread_ts="1700000010.000100")],
        "eng/2024-01-02.json": [said(15, "reply", thread_ts="1700000010.000100")],
    }
    assert texts(build(tmp_path, files)) == ["root", "reply", "late reply", "second root"]


def test_copies_are_one_message_and_the_edited_one_stays(tmp_path: Path) -> None:
    edited = said(10, "new words", edited={"user": "U0ADA", "ts": "1700000099.000000"})
    files = BASE | {
        "eng/2024-01-01.json": [edited, said(10, "old words")],
        "eng/2024-01-02.json": [said(10, "old words")],
    }
    built = build(tmp_path, files)
    assert texts(built) == ["new words"]
    assert built.message_count == 1


def test_a_deletion_removes_every_copy_before_and_after_it(tmp_path: Path) -> None:
    gone = {
        "type": "message",
        "subtype": "message_deleted",
        "deleted_ts": "1700000010.000100",
        "ts": "1700000050.000000",
    }
    files = BASE | {"eng/2024-01-01.json": [said(10), gone, said(11, "stays"), said(10)]}
    assert texts(build(tmp_path, files)) == ["stays"]


def test_the_same_day_file_twice_is_read_twice_and_kept_once(tmp_path: Path) -> None:
    files = [*BASE.items(), ("eng/2024-01-01.json", [said(1)]), ("eng/2024-01-01.json", [said(1), said(2)])]
    with pytest.warns(UserWarning, match="Duplicate name"):
        built = build(tmp_path, files)
    assert built.message_count == 2


def test_private_folders_are_never_read(tmp_path: Path) -> None:
    files = BASE | {
        "groups.json": [{"id": "G0BOARD", "name": "board"}],
        "dms.json": [{"id": "D0X"}],
        "mpims.json": [{"id": "G0MP", "name": "mpdm-a--b-1"}],
        "channels.json": [
            *CHANNELS,
            {"id": "C0BOARD", "name": "board"},
            {"id": "C0P", "name": "p", "is_private": True},
        ],
        "eng/2024-01-01.json": [said(1, "public")],
        **{
            f"{name}/2024-01-01.json": [said(2, "secret")]
            for name in ("board", "D0X", "mpdm-a--b-1", "p", "unknown")
        },
    }
    assert texts(build(tmp_path, files)) == ["public"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_an_editor_saved_is_still_read(tmp_path: Path, encoding: str) -> None:
    def encode(content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False)
        return (("\ufeff" + text) if encoding in ("utf-16-le", "utf-16-be") else text).encode(encoding)

    files = {name: encode(content) for name, content in BASE.items()}
    built = build(tmp_path, files | {"eng/2024-01-01.json": encode([said(1, "größer 漢字 🎉")])})
    assert texts(built) == ["größer 漢字 🎉"]


def test_backslashes_a_folder_around_it_and_a_macs_leavings_are_seen_through(tmp_path: Path) -> None:
    files = {f"export/{name}": content for name, content in BASE.items()}
    files |= {"__MACOSX/export/._users.json": b"\x00", "export/.DS_Store": b"\x00"}
    built = build(tmp_path, files | {"export\\eng\\2024-01-01.json": [said(1)]})
    assert built.message_count == 1


def test_null_and_missing_fields_and_elements_of_other_types_are_survived(tmp_path: Path) -> None:
    users = [*USERS, None, 7, {"id": None}, {"id": "U0NIL", "name": None, "profile": None, "team_id": None}]
    channels = [*CHANNELS, None, {"id": "C0X"}, {"name": "nameless"}, {"id": "bad id", "name": "bad"}]
    day = [
        None,
        "text",
        3,
        [],
        {},
        {"ts": None},
        said(1),
        {"ts": "1700000002", "user": "U0ADA", "text": "no dot"},
    ]
    built = build(tmp_path, {"users.json": users, "channels.json": channels, "eng/2024-01-01.json": day})
    assert texts(built) == ["hello there", "no dot"]
    assert built.person_count == 3


def test_an_enterprise_export_names_its_people_elsewhere(tmp_path: Path) -> None:
    files = {"channels.json": CHANNELS, "org_users.json": USERS, "eng/2024-01-01.json": [said(1)]}
    assert build(tmp_path, files).person_count == 2


def test_a_window_cuts_the_history(tmp_path: Path) -> None:
    files = BASE | {"eng/2024-01-01.json": [said(1), said(2), said(3)]}
    built = build(tmp_path, files, TsWindow("1700000001.000100", "1700000002.000100"))
    assert [m.ts for m in messages(built)] == ["1700000002.000100"]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"users.json": USERS},
        {"channels.json": CHANNELS},
        BASE | {"channels.json": []},
        BASE | {"channels.json": {"C0ENG": "eng"}},
        BASE | {"users.json": "{}"},
        BASE | {"users.json": ""},
        BASE | {"users.json": []},
        BASE | {"eng/2024-01-01.json": {"messages": []}},
        BASE | {"eng/2024-01-01.json": "[1, 2"},
        BASE | {"eng/2024-01-01.json": "[" * 100_000},
        BASE | {"eng/2024-01-01.json": "[" + '{"a":' * 200_000 + "1" + "}" * 200_000 + "]"},
        BASE | {"eng/2024-01-01.json": '[{"ts": 1e999999999}, nonsense]'},
        BASE | {"eng/2024-01-01.json": '["größe"]'.encode("latin-1")},
        BASE | {"eng/2024-01-01.json": '["\ufeff'.encode("utf-16") + b"\xd8"},
        BASE | {"files.tar.gz": b"x"},
    ],
)
def test_a_broken_export_is_one_sentence(tmp_path: Path, files: dict[str, Any]) -> None:
    with pytest.raises(ExportInvalid) as caught:
        build(tmp_path, files)
    assert str(caught.value).count(". ") == 1
    assert len(str(caught.value)) < 400


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    whole = make(
        tmp_path / "whole.zip", BASE | {"eng/2024-01-01.json": [said(i, "x" * 500) for i in range(60)]}
    )
    data = whole.read_bytes()
    for number, broken in enumerate(
        (data[: len(data) // 2], data[:-10], b"", b"PK", data[:200] + b"\x00" * 80 + data[280:])
    ):
        path = tmp_path / f"broken-{number}.zip"
        path.write_bytes(broken)
        with pytest.raises(ExportInvalid):
            build_from_export(path, TEAM, TsWindow(), _folder(tmp_path, number), Work())


def test_an_encrypted_entry_and_a_link_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "x.zip", BASE)
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    struct.pack_into("<H", data, at + 8, 1)
    path.write_bytes(data)
    with pytest.raises(ExportInvalid, match="encrypted"):
        ExportZip(path, TEAM)
    link = zipfile.ZipInfo("eng/2024-01-01.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ExportInvalid, match="link"):
        ExportZip(path, TEAM)


def test_bombs_are_refused_at_their_limits(tmp_path: Path) -> None:
    big = BASE | {"eng/2024-01-01.json": [said(1, "x" * 300_000)]}
    for limits in (
        Limits(entry_count=2),
        Limits(entry_bytes=100_000),
        Limits(total_bytes=100_000),
        Limits(ratio=10, ratio_after_bytes=100_000),
        Limits(element_characters=100_000),
    ):
        with pytest.raises(ExportInvalid):
            build(tmp_path, big, limits=limits)


def test_a_size_that_lies_is_found_while_streaming(tmp_path: Path) -> None:
    path = make(tmp_path / "x.zip", BASE | {"eng/2024-01-01.json": [said(1, "x" * 300_000)]})
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 100)
    path.write_bytes(data)
    with pytest.raises(ExportInvalid):
        build_from_export(path, TEAM, TsWindow(), _folder(tmp_path, 9), Work())


def test_it_stops_when_asked(tmp_path: Path) -> None:
    days = {
        f"eng/2024-01-{d:02d}.json": [said(i % 100, f"{d} {i}") for i in range(100)] for d in range(1, 29)
    }
    work = Work()
    work.stop()
    with pytest.raises(Stopped):
        build_from_export(make(tmp_path / "x.zip", BASE | days), TEAM, TsWindow(), _folder(tmp_path, 1), work)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    users=st.just(USERS) | json_values, channels=st.just(CHANNELS) | json_values, day=st.lists(json_values)
)
def test_any_json_is_read_or_refused(tmp_path: Path, users: Any, channels: Any, day: list[Any]) -> None:
    files = {"users.json": users, "channels.json": channels, "eng/2024-01-01.json": [*day, said(1)]}
    try:
        built = build(tmp_path, files)
    except ExportInvalid:
        return  # refused in one sentence; any other error fails the test
    assert built.message_count + sum(built.dropped.values()) == len(day) + 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 700), st.binary(min_size=1, max_size=8))
@example(499, b"\x01")  # an offset before the file's beginning, which the system calls an invalid argument
def test_any_flipped_bytes_are_read_or_refused(tmp_path: Path, at: int, garbage: bytes) -> None:
    path = make(tmp_path / "flipped.zip", BASE | {"eng/2024-01-01.json": [said(1), said(2)]})
    data = bytearray(path.read_bytes())
    data[at : at + len(garbage)] = garbage
    path.write_bytes(data)
    try:
        build_from_export(path, TEAM, TsWindow(), Path(tempfile.mkdtemp(dir=tmp_path)), Work())
    except ExportInvalid:
        return  # refused in one sentence; any other error fails the test


def _folder(tmp_path: Path, number: int) -> Path:
    folder = tmp_path / f"folder-{number}"
    folder.mkdir()
    return folder
