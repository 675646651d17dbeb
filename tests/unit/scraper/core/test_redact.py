"""What must not be learnt leaves; what only looks like it stays, and no text takes long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.redact import Redactor, redact


@pytest.mark.parametrize(
    "secret",
    [
        "xoxb-123456789012-abcdefghijkl",
        "xoxe.xoxb-1-abcdefghijkl",
        "ghp_abcdefghijklmnopqrstuvwxyz0123",
        "AKIAIOSFODNN7EXAMPLE",
        "sk-proj-abcdefghijklmnopqrstuvwx",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk",
        "hf_abcdefghijklmnopqrstuvwx",
    ],
)
def test_a_token_is_gone_wherever_it_stands(secret: str) -> None:
    for text in (secret, f"use {secret}, please", f"({secret})", f"token={secret}"):
        assert secret not in redact(text)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("password: hunter2!", "hunter2"),
        ("the API_KEY=abc123def", "abc123def"),
        ("my password is correct-horse7", "correct-horse7"),
        ("postgres://doppel:s3cr3t@db/x", "s3cr3t"),
        ("Authorization: Bearer abcdefghijklmnop1234", "abcdefghijklmnop1234"),
        ("mail ada@example.com now", "ada@example.com"),
        ("call +31 20 123 4567", "123 4567"),
        ("call (020) 1234-5678", "1234-5678"),
        ("+491701234567", "491701234567"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- ok", "abc"),
        ("-----BEGIN PRIVATE KEY-----\nnever ended", "never"),
    ],
)
def test_secrets_addresses_and_numbers_are_replaced(text: str, gone: str) -> None:
    assert gone not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "the password is wrong",
        "released on 2024-05-17, version 10.2.33",
        "10.0.12.255 does not answer",
        "we sold 1200 of them in 15 days",
        "@Ada: see https://example.com/a-b_c?x=1",
        "12:30 or 14:45?",
        "",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "number",
    [
        "+1 415 555 2671",
        "(415) 555-2671",
        "415-555-2671",
        "06 12 34 56 78",
        "0171 1234567",
        "030 12345678",
        "020 7946 0018",
    ],
)
def test_numbers_are_known_as_people_write_them_in_several_countries(number: str) -> None:
    assert redact(f"call {number}, please") == "call [phone], please"


def test_no_region_leaves_international_numbers_to_be_found() -> None:
    assert Redactor(())("call +31 20 123 4567 or 0171 1234567") == "call [phone] or 0171 1234567"


@pytest.mark.parametrize(
    "text",
    [
        "commit 3f2a9c81d4e5b6a7c8d9e0f1a2b3c4d5e6f7a8b9",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "at 1700000000.000100 or 1700000000123",
        "ports 8080 8443 9090",
        "192.168.100.200:8080, 10.0.12.255/24",
        "linux-image-5.15.0-91-generic 5.15.0-91.101",
        "2024-01-02 12:33:01 and 02/01/2024",
        "/usr/lib/x86_64-linux-gnu/libssl.so.3",
        "isbn 978-3-16-148410-0",
        "sudo apt-get install --no-install-recommends build-essential",
    ],
)
def test_technical_text_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(st.sampled_from("0123456789+-() ./@:xoxbAKIA=_[]"), max_size=200))
def test_digits_and_signs_are_read_without_a_crash_and_once_is_enough(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(st.text(max_size=400))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1 ",
        "1-",
        "a@",
        "a.",
        "x:",
        "://",
        "-----BEGIN ",
        "eyJ",
        "token=",
        "+1 ",
        "(",
        "0171 1234567 ",
        "sk-",
        "eyJa.",
        "://a:",
        "//a/:_authToken=npm_",
        "1234567 ",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    began = time.perf_counter()
    redact(piece * (40_000 // len(piece)))
    assert time.perf_counter() - began < 2.0
