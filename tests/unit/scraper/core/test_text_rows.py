from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from proto.body import ChannelId, UserId
from services.scraper.core.text_rows import (
    RowInvalid,
    choose_delimiter,
    column_names,
    derive_channel_id,
    derive_user_id,
    parse_row,
    parse_time,
)

SAID = {"time": "2024-01-01T10:00:00Z", "channel": "general", "text": "hello"}
INSTANT = 1_704_103_200_000_000


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        ("2024-01-01T10:00:00Z", INSTANT),
        ("2024-01-01T11:00:00+01:00", INSTANT),
        ("2024-01-01 10:00:00", INSTANT),
        ("2024-01-01T10:00:00.000123+00:00", INSTANT + 123),
        ("1704103200", INSTANT),
        (1704103200, INSTANT),
        ("1704103200.000123", INSTANT + 123),
        (" 1704103200.5 ", INSTANT + 500_000),
        ("2024-01-01", INSTANT - 36_000_000_000),
    ],
)
def test_a_time_is_iso_or_seconds(written: Any, micros: int) -> None:
    assert parse_time(written) == micros


@pytest.mark.parametrize(
    "written", ["", None, "yesterday", "1704103200000", "1969-12-31", True, [], -5, "1e9"]
)
def test_any_other_time_is_refused(written: Any) -> None:
    with pytest.raises(RowInvalid, match="time"):
        parse_time(written)


@given(st.integers(0, 4_000_000_000_000_000))
def test_every_microsecond_survives(micros: int) -> None:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    seconds, fraction = divmod(micros, 1_000_000)
    assert parse_time(instant.isoformat()) == micros
    assert parse_time(f"{seconds}.{fraction:06d}") == micros


@given(st.text())
def test_derived_ids_are_ids(name: str) -> None:
    TypeAdapter(UserId).validate_python(derive_user_id(name))
    TypeAdapter(ChannelId).validate_python(derive_channel_id(name))


def test_the_same_name_is_the_same_person_and_the_case_counts() -> None:
    assert derive_user_id("ada") == derive_user_id("ada")
    assert derive_user_id("ada") != derive_user_id("Ada")
    assert parse_row(SAID | {"author": " e\u0301va "}).user_id == derive_user_id("\u00e9va")


def test_an_id_of_slack_makes_an_author_a_member() -> None:
    assert parse_row(SAID | {"author": "ada", "author_id": "U0ADA"}).user_id == "U0ADA"
    assert parse_row(SAID).user_id is None
    with pytest.raises(RowInvalid, match="author_id"):
        parse_row(SAID | {"author_id": "80351110224678912"})


@pytest.mark.parametrize(
    "change",
    [{"channel": ""}, {"channel": None}, {"text": 7}, {"thread": []}, {"is_bot": "perhaps"}, {"author": {}}],
)
def test_a_wrong_row_names_its_field_and_not_its_words(change: dict[str, Any]) -> None:
    with pytest.raises(RowInvalid) as caught:
        parse_row(SAID | {"text": "zebra"} | change)
    assert next(iter(change)) in str(caught.value)
    assert "zebra" not in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from(["author", "time", "channel", "text", "thread", "is_bot"]), st.text() | st.none()
    )
)
def test_any_row_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        row = parse_row(fields)
    except RowInvalid:
        return
    row.text.encode()
    assert row.channel


def test_columns_are_found_whatever_separates_them() -> None:
    assert choose_delimiter("author;time;channel;text\r\n") == ";"
    assert choose_delimiter("author\ttime\tchannel\ttext") == "\t"
    assert column_names([" Author", "TIME", "channel", "text "]) == ["author", "time", "channel", "text"]
    with pytest.raises(RowInvalid, match="`time`"):
        column_names(["author", "channel", "text"])
    with pytest.raises(RowInvalid, match="twice"):
        column_names(["time", "channel", "text", "text"])
