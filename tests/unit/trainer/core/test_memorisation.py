import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trainer.core.memorisation import Learnt, canaries_in, is_looping, repeated_share

SECRET = "my grandmother kept the spare key under the third blue flower pot by the door"


def test_what_was_written_once_is_found_word_for_word() -> None:
    learnt = Learnt.of([SECRET, "try it again please"])
    assert learnt.longest_run(f"well, {SECRET.upper()}!") == 15
    assert learnt.longest_run("under the third blue flower") == 5
    assert learnt.longest_run("nothing of that kind") == 0


def test_a_phrase_of_three_messages_is_a_habit() -> None:
    learnt = Learnt.of(
        [f"{name}: have you tried turning it off and on again" for name in ("bob", "eve", "max")]
    )
    assert learnt.longest_run("have you tried turning it off and on again") == 0
    assert learnt.longest_run("eve have you tried turning it off and on again") == 10


def test_quotes_and_links_do_not_count() -> None:
    learnt = Learnt.of([f"> {SECRET}", f"https://x.example/{'/'.join(SECRET.split())}"])
    assert learnt.longest_run(SECRET) == 0
    assert Learnt.of([SECRET]).longest_run(f"> {SECRET}") == 0


@given(st.lists(st.text(max_size=60), max_size=5), st.text(max_size=200))
def test_a_run_is_never_longer_than_what_was_said(texts: list[str], said: str) -> None:
    assert 0 <= Learnt.of(texts).longest_run(said) <= len(said)


@given(st.text(alphabet="ab ", min_size=1, max_size=60))
def test_the_longest_run_is_what_trying_everything_finds(said: str) -> None:
    text = "a b a a b b a b"
    words, known = said.split(), text.split()
    best = max(
        (
            length
            for start in range(len(words))
            for length in range(3, len(words) - start + 1)
            if any(known[i : i + length] == words[start : start + length] for i in range(len(known)))
        ),
        default=0,
    )
    assert Learnt.of([text]).longest_run(said) == best


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the safe is 48151623 ok", ["48151623"]),
        ("token xk42-99-qzt here", ["xk42-99-qzt"]),
        ("released in 2024, runs on x86_64 since 12.04", []),
        ("see https://x.example/48151623", []),
        ("an ordinary-looking sentence", []),
    ],
)
def test_a_canary_is_what_nobody_could_guess(text: str, found: list[str]) -> None:
    assert canaries_in(text, []) == found


def test_what_the_conversation_says_already_is_no_canary() -> None:
    assert canaries_in("ticket 48151623 is done", ["Bob: what about 48151623?"]) == []


def test_loops_and_repeats_are_seen() -> None:
    assert is_looping(["well", "ok", "then", "ok", "then", "ok", "then"])
    assert not is_looping(["ok", "then", "let", "us", "see"])
    assert repeated_share("a b c a b c") > 0
    assert repeated_share("a b c d e") == 0
