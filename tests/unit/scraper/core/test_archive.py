"""Names and sizes in an export: matched, never a path."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.archive import (
    UTF8_FLAG,
    ArchiveRefused,
    Limits,
    check_entry,
    check_growth,
    is_noise,
    may_enclose,
    parse_day_file,
    readable_name,
    spellings,
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


def test_a_name_is_read_as_its_maker_meant_it() -> None:
    assert readable_name("größe/漢.json".encode(), 0) == "größe/漢.json"  # the flag is missing
    assert readable_name("größe\\x.json".encode("cp437"), 0) == "größe/x.json"
    with pytest.raises(ArchiveRefused):
        readable_name("größe".encode("cp437"), UTF8_FLAG)


@given(st.binary(max_size=40), st.sampled_from([0, UTF8_FLAG]))
def test_any_name_is_read_or_refused(name: bytes, flag_bits: int) -> None:
    with contextlib.suppress(ArchiveRefused):
        assert "\\" not in readable_name(name, flag_bits)


def test_spellings_of_one_folder_fold_to_one() -> None:
    composed, taken_apart = "Caf\u00e9", "cafe\u0301"
    assert spellings(taken_apart) == ("caf\u00e9", "caf\u00e9")
    assert spellings(composed) == ("Caf\u00e9", "caf\u00e9")


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
    with pytest.raises(ArchiveRefused):
        entry(name, **fields)


def test_an_ordinary_entry_passes() -> None:
    entry()


def test_a_bomb_is_refused_while_it_streams() -> None:
    check_growth(10 * 1024 * 1024, 1, Limits())
    with pytest.raises(ArchiveRefused):
        check_growth(11 * 1024 * 1024, 1024, Limits())
    with pytest.raises(ArchiveRefused):
        check_growth(513 * 1024 * 1024, 512 * 1024 * 1024, Limits())


def test_one_folder_around_everything_is_seen_through() -> None:
    assert may_enclose("export/channels.json") == "export/"
    assert may_enclose("channels.json") == ""
    assert may_enclose("export/eng/2024-01-01.json") is None
    assert may_enclose("a/b/channels.json") is None
    assert is_noise("__MACOSX/._channels.json")
    assert is_noise("eng/.DS_Store")
    assert is_noise("eng/")
