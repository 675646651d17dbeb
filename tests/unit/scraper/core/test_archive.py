"""Names and sizes in an export: matched, never a path."""

import contextlib
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ExportInvalid
from services.scraper.core.archive import (
    Limits,
    check_entry,
    check_growth,
    count_entries,
    enclosing_folder,
    is_noise,
    parse_day_file,
    readable_name,
)


def entry(name: str = "eng/2024-01-01.json", **fields: int) -> None:
    given = {"flag_bits": 0, "external_attr": 0, "compress_type": 8, "size_bytes": 10} | fields
    check_entry(name, **given, limits=Limits())


@given(st.text(max_size=60))
def test_any_name_is_a_day_file_of_a_single_folder_or_nothing(name: str) -> None:
    found = parse_day_file(name)
    if found:
        assert "/" not in found.folder
        assert name == f"{found.folder}/{name.rpartition('/')[2]}"


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/2024-01-01.json",
        "/abs/2024-01-01.json",
        "a/b/2024-01-01.json",
        "eng/2024-1-1.json",
        "eng/x.json",
    ],
)
def test_hostile_names_are_not_read(name: str) -> None:
    assert parse_day_file(name) is None


@given(st.text(min_size=1, max_size=40))
def test_a_utf8_name_without_its_flag_is_read_as_meant(name: str) -> None:
    try:
        as_zipfile_reads_it = name.encode("utf-8").decode("cp437")
    except UnicodeError:
        return
    assert readable_name(as_zipfile_reads_it, 0) == name.replace("\\", "/")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("a.json", {"flag_bits": 1}),
        ("a.json", {"external_attr": 0o120777 << 16}),
        ("inner.ZIP", {}),
        ("a.json", {"compress_type": 12}),
        ("a.json", {"size_bytes": 600 * 1024 * 1024}),
    ],
)
def test_what_slack_never_exports_is_refused(name: str, fields: dict[str, int]) -> None:
    with pytest.raises(ExportInvalid):
        entry(name, **fields)


def test_an_ordinary_entry_passes() -> None:
    entry()


def test_the_number_of_entries_is_known_before_the_archive_is_opened() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(70_000 // 100):
            archive.writestr(f"{number}", "")
    assert count_entries(file.getvalue()) == 700


@given(st.binary(max_size=300))
def test_no_bytes_break_the_end_record(tail: bytes) -> None:
    with contextlib.suppress(ExportInvalid):
        assert count_entries(tail) >= 0


def test_a_bomb_is_refused_while_it_streams() -> None:
    check_growth(10 * 1024 * 1024, 1, Limits())
    with pytest.raises(ExportInvalid):
        check_growth(11 * 1024 * 1024, 1024, Limits())
    with pytest.raises(ExportInvalid):
        check_growth(513 * 1024 * 1024, 512 * 1024 * 1024, Limits())


def test_one_folder_around_everything_is_seen_through() -> None:
    assert enclosing_folder(["export/channels.json", "export/eng/2024-01-01.json"]) == "export/"
    assert enclosing_folder(["channels.json", "export/channels.json"]) == ""
    assert is_noise("__MACOSX/._channels.json")
    assert is_noise("eng/.DS_Store")
    assert is_noise("eng/")
