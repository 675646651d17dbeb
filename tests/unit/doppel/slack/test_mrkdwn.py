"""What a reader sees, and that nothing a model writes comes alive."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppel.slack import mrkdwn

NAMES = {"U1": "Ada", "C1": "general"}
HOSTILE = st.text(st.sampled_from("<>&;@#!|`ampltg channel here \n\u202e\u200bUC1"), max_size=400)


@pytest.mark.parametrize(
    ("typed", "seen"),
    [
        ("&amp;lt;", "&lt;"),
        ("&lt;b&gt; &amp; &copy;", "<b> & &copy;"),
        ("<@U1|mallory> hi", "@Ada hi"),
        ("<@U9>", "@someone"),
        ("<#C1|other>", "#general"),
        ("<#C2|old-name>", "#old-name"),
        ("<#C2|>", "#channel"),
        ("<!here> <!subteam^S1|@ops>", "@here @ops"),
        ("<!date^1^{date}|yesterday>", "yesterday"),
        ("<https://a.example/?a=1&amp;b=2>", "https://a.example/?a=1&b=2"),
        ("<https://a.example/?a=1&amp;b=2|the &lt;manual&gt;>", "the <manual> (https://a.example/?a=1&b=2)"),
        ("<https://a.example/|a.example>", "https://a.example/"),
        ("<https://a.example|https://a.example>", "https://a.example"),
        ("<mailto:a@b.example|write to us>", "write to us (a@b.example)"),
        ("<tel:+31201234567|+31201234567>", "+31201234567"),
        ("<new-kind^1|what is seen>", "what is seen"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("a < b", "a < b"),
    ],
)
def test_text_is_read_as_slack_shows_it(typed: str, seen: str) -> None:
    assert mrkdwn.to_plain(typed, NAMES) == seen


@given(st.text())
def test_escaping_then_reading_gives_the_text_back(text: str) -> None:
    assert mrkdwn.to_plain(mrkdwn.escape(text), NAMES) == text


@given(HOSTILE)
def test_nothing_in_a_model_s_output_is_live(text: str) -> None:
    out = mrkdwn.defuse(text)
    assert "<" not in out
    assert ">" not in out
    assert not any(f"@{word}" in out.lower() for word in ("channel", "here", "everyone"))
    assert "\u202e" not in out


@given(HOSTILE, st.integers(40, 200))
def test_parts_fit_and_carry_every_word(text: str, limit: int) -> None:
    whole = mrkdwn.defuse(text)
    parts = mrkdwn.split(whole, limit)
    assert all(0 < len(part) <= limit for part in parts)

    def letters(value: str) -> str:
        return "".join(value.replace("`", "").split())

    assert letters("".join(parts)) == letters(whole)


@given(st.text(st.sampled_from("&<>x"), min_size=50, max_size=300))
def test_no_entity_is_cut(text: str) -> None:
    whole = mrkdwn.escape(text)
    assert "".join(mrkdwn.to_plain(part, {}) for part in mrkdwn.split(whole, 40)) == text


def test_a_fence_is_closed_and_opened_again() -> None:
    parts = mrkdwn.split("```\n" + "line of code\n" * 40 + "```", 120)
    assert len(parts) > 1
    assert all(part.count("```") % 2 == 0 for part in parts)


@pytest.mark.parametrize("text", ["<" * 40_000, "<@" * 20_000, "&" * 40_000, "`" * 40_000, "<a|" * 13_000])
def test_hostile_text_takes_no_time(text: str) -> None:
    began = time.perf_counter()
    mrkdwn.to_plain(text, NAMES)
    mrkdwn.split(mrkdwn.defuse(text), 3000)
    assert time.perf_counter() - began < 2
