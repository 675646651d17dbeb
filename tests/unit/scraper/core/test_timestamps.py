from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.timestamps import parse_ts, ts_key, ts_of

micros = st.integers(0, 10**15 - 1)


def text_of(value: int) -> str:
    return f"{value // 1_000_000}.{value % 1_000_000:06d}"


@given(micros, micros)
def test_keys_sort_as_the_moments_do(one: int, two: int) -> None:
    assert (ts_key(text_of(one)) < ts_key(text_of(two))) == (one < two)


@given(micros)
def test_a_timestamp_keeps_every_digit(value: int) -> None:
    assert parse_ts(text_of(value)) == text_of(value)


@given(st.one_of(st.none(), st.booleans(), st.text(), st.floats(), st.lists(st.integers()), st.integers()))
def test_anything_else_is_no_timestamp_or_a_well_formed_one(value: object) -> None:
    found = parse_ts(value)
    assert found is None or found.partition(".")[1] == "."


@given(st.integers(0, 2**33), st.integers(0, 999_999))
def test_an_instant_becomes_its_own_timestamp(seconds: int, micro: int) -> None:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=micro)
    assert abs(float(ts_of(instant)) - instant.timestamp()) < 1e-5


def test_a_trailing_zero_is_not_lost() -> None:
    assert parse_ts("1700000000.000100") == "1700000000.000100"
    assert ts_key("1700000000.000100") != ts_key("1700000000.000010")
