"""What is no voice is left out by its reason; what only looks like it stays."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.filters import own_words, reason_to_drop

LOG = "\n".join(f"2024-05-17 12:00:0{i} ERROR worker: connection refused" for i in range(5))
SYSLOG = "Jan  1 12:00:01 host kernel: usb 1-1: new device\nJan  1 12:00:02 host kernel: usb 1-1: gone"
TRACE = 'Traceback (most recent call last):\n  File "x.py", line 3, in <module>\nKeyError: 1'
SHELL = (
    "ada@box:~$ ls -l\n-rw-r--r-- 1 ada ada 12 May 17 12:00 notes\ndrwxr-xr-x 2 ada ada 64 May 17 12:00 src"
)
TABLE = "\n".join(f"{i} {i * 17} {i * 31} | {i:08x} |" for i in range(10, 20))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/remind me", "command"),
        ("!faq wifi", "command"),
        (":tada: :+1::skin-tone-2:", "only_emoji"),
        ("https://example.com/x", "only_link"),
        ("see https://example.com/x", "only_link"),
        ("```print(1)```", "only_code"),
        ("", "forwarded"),
        (LOG, "pasted_log"),
        (SYSLOG, "pasted_log"),
        (TRACE, "pasted_log"),
        (SHELL, "pasted_log"),
        (TABLE, "pasted_log"),
    ],
)
def test_what_teaches_nothing_has_a_reason(text: str, reason: str) -> None:
    assert reason_to_drop(text) == reason


@pytest.mark.parametrize(
    "text",
    [
        "that is how I say it",
        "!!! what a day",
        "error: the door was closed, so I went round the back",
        "the log says 'connection refused', so start the server",
        "it is in the runbook; page two; https://wiki.example.com/runbook",
        "try this: ```ls -l```",
        "1. open the lid\n2. pour in the water\n3. wait for it\n4. drink",
        "日本語で書いてもいいですか",
        "/ is full again",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert reason_to_drop(text) is None


def test_quoted_lines_are_not_ones_own_words() -> None:
    assert own_words("> somebody said this\n> and that\nI agree") == "I agree"
    assert own_words("so:\n```\n>>> print(1)\n```\n> theirs\nmine") == "so:\n```\n>>> print(1)\n```\nmine"
    assert own_words("> all of it\n> is theirs") == ""
    assert own_words("a > b, surely") == "a > b, surely"


@given(st.text(max_size=400))
def test_any_text_is_judged(text: str) -> None:
    reason_to_drop(own_words(text))


@pytest.mark.parametrize(
    "piece", ["a", "`", "```", ":a", "> ", "[1.2", "2024-01-01 ", "x.y(", "-rw", "\n", "https://"]
)
def test_no_text_takes_long(piece: str) -> None:
    began = time.perf_counter()
    reason_to_drop(own_words(piece * (40_000 // len(piece))))
    assert time.perf_counter() - began < 1.0
