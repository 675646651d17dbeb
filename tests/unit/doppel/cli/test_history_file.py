import contextlib
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppel.cli.history_file import check_history
from proto.errors import ExportInvalid, TextInvalid

SAID = {"time": 1, "channel": "eng", "text": "hello"}


def write(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def make_zip(folder: Path, *names: str) -> Path:
    with zipfile.ZipFile(folder / "a.ZIP", "w") as archive:
        for name in names:
            archive.writestr(name, "[]")
    return folder / "a.ZIP"


def test_what_can_be_read_is_told_by_its_kind(tmp_path: Path) -> None:
    assert check_history(make_zip(tmp_path, "acme/channels.json", "acme/users.json")) == "export"
    assert check_history(write(tmp_path, "a.jsonl", b"\n" + json.dumps(SAID).encode())) == "text"
    assert check_history(write(tmp_path, "a.csv", b'\xef\xbb\xbf"Time";channel;"text"\r\n')) == "text"
    assert check_history(write(tmp_path, "b.csv", "time\tchannel\ttext\n".encode("utf-16"))) == "text"


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    for path in (
        write(tmp_path, "a.zip", b"nothing"),
        write(tmp_path, "b.zip", b"PK\x05\x06" + b"\0" * 18),
        make_zip(tmp_path, "holiday.jpg"),
    ):
        with pytest.raises(ExportInvalid):
            check_history(path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b""),
        ("a.jsonl", b"[1]\n"),
        ("a.jsonl", b"[" * 10_000),
        ("a.jsonl", b'{"time": 1, "text": "x"}\n'),
        ("a.csv", b"author,message\n"),
        ("a.csv", b"\xff\xfe\x00"),
        ("a.csv", b"PK\x03\x04\xff\xfe"),
    ],
)
def test_what_is_no_text_file_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(TextInvalid):
        check_history(write(tmp_path, name, data))


@given(st.binary(max_size=200), st.sampled_from(["a.zip", "a.csv", "a.jsonl"]))
def test_any_bytes_are_one_thing_or_the_other(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = write(tmp_path_factory.mktemp("file"), name, data)
    with contextlib.suppress(ExportInvalid, TextInvalid):
        assert check_history(path) in ("export", "text")
