"""What a persona learns from: others' words before, their own after, nothing else."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Message, Sample, WordsOf
from services.scraper.core.samples import Cutter, Newest, Shape, reason_to_drop
from services.scraper.core.segment import split_conversations
from services.scraper.core.timestamps import ts_key

NAMES = {"U0ADA": "Ada", "U0BRAM": "Bram", "U0CHIYO": "Chiyo"}


def say(user_id: str | None, at: float, text: str, thread: float | None = None, **fields: Any) -> Message:
    return Message(
        channel_id="C0ENG",
        ts=f"{at:.6f}",
        thread_ts=None if thread is None else f"{thread:.6f}",
        user_id=user_id,
        text=text,
        **fields,
    )


def in_order(messages: list[Message]) -> list[Message]:
    return sorted(messages, key=lambda m: (ts_key(m.thread_ts or m.ts), ts_key(m.ts)))


def cut(*messages: Message, shape: Shape | None = None) -> tuple[list[Sample], dict[str, int]]:
    cutter = Cutter("U0ADA", NAMES, shape or Shape())
    samples = [
        sample
        for conversation in split_conversations(in_order(list(messages)))
        for sample in cutter.cut(conversation)
    ]
    return samples, dict(cutter.dropped)


def shown(sample: Sample) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in sample.turns]


def test_an_answer_in_a_thread_has_the_thread_before_it() -> None:
    samples, dropped = cut(
        say("U0BRAM", 100, "is the release out?", 100),
        say("U0CHIYO", 150, "an unrelated remark"),
        say("U0CHIYO", 9_000, "I wonder too", 100),
        say("U0ADA", 90_000, "it is out; splendid", 100),
    )
    assert [shown(s) for s in samples] == [[("user", "Bram: is the release out?\nChiyo: I wonder too")]]
    assert samples[0].response == "it is out; splendid"
    assert dropped == {}


def test_several_messages_in_a_row_are_one_answer() -> None:
    samples, _ = cut(
        say("U0BRAM", 100, "who is in?"),
        say("U0ADA", 110, "i am; always"),
        say("U0ADA", 120, "and early"),
        say("U0ADA", 1_000, "still here, by the way"),
    )
    assert [s.response for s in samples] == ["i am; always\nand early"]


def test_their_own_earlier_words_are_assistant_turns() -> None:
    samples, _ = cut(
        say("U0BRAM", 100, "shall we?", 100),
        say("U0ADA", 110, "yes; let us", 100),
        say("U0BRAM", 120, "when?", 100),
        say("U0ADA", 130, "after lunch; at two", 100),
    )
    assert shown(samples[1]) == [
        ("user", "Bram: shall we?"),
        ("assistant", "yes; let us"),
        ("user", "Bram: when?"),
    ]


def test_a_silence_ends_what_a_channel_message_answers() -> None:
    _, dropped = cut(say("U0BRAM", 100, "good night"), say("U0ADA", 40_000, "good morning, all"))
    assert dropped == {"no_context": 1}


def test_who_is_named_is_who_is_answered() -> None:
    samples, _ = cut(
        say("U0BRAM", 100, "my printer is on fire"),
        say("U0CHIYO", 110, "who took my cup?"),
        say("U0ADA", 120, "@Bram: have you tried water?"),
        say("U0CHIYO", 130, "it was blue"),
        say("U0ADA", 140, "@Chiyo; look in the sink"),
    )
    assert [shown(sample) for sample in samples] == [
        [("user", "Bram: my printer is on fire")],
        [("user", "Chiyo: who took my cup?\nChiyo: it was blue")],
    ]


def test_apps_and_doubtful_authors_are_never_learnt_from() -> None:
    samples, _ = cut(
        say("U0BRAM", 100, "is it deployed?", 100),
        say("U0ADA", 110, "words that are not surely hers", 100, words_of=WordsOf.UNKNOWN),
        say(None, 120, "deployed build 7", 100, words_of=WordsOf.APP),
        say("U0ADA", 130, "deployed; look above", 100),
    )
    assert [s.response for s in samples] == ["deployed; look above"]
    assert "app: deployed build 7" in shown(samples[0])[0][1]


def test_secrets_are_gone_from_both_sides() -> None:
    samples, _ = cut(
        say("U0BRAM", 100, "the token=abc123def456 again", 100),
        say("U0ADA", 110, "mail me at ada@example.com", 100),
    )
    text = samples[0].model_dump_json()
    assert "abc123def456" not in text
    assert "ada@example.com" not in text


def test_what_teaches_nothing_is_counted_by_its_reason() -> None:
    cases = {
        "/remind me": "command",
        "!faq wifi": "command",
        ":tada: :+1::skin-tone-2:": "only_emoji",
        "https://example.com/x": "only_link",
        "```print(1)```": "only_code",
        "ok": "too_short",
        "x" * 5_000: "too_long",
        "that is how I say it": None,
    }
    assert {text: reason_to_drop(text) for text in cases} == cases


def test_the_same_answer_is_learnt_three_times_at_most() -> None:
    conversation = [
        message
        for i in range(10)
        for message in (
            say("U0BRAM", i * 10_000, f"question {i}", i * 10_000),
            say("U0ADA", i * 10_000 + 5, "you are welcome", i * 10_000),
        )
    ]
    samples, dropped = cut(*conversation)
    assert len(samples) == 3
    assert dropped == {"duplicate": 7}


@given(st.integers(1, 20), st.integers(20, 400))
def test_context_stays_within_its_bounds(messages: int, characters: int) -> None:
    thread = [say("U0BRAM", 100 + i, f"line {i} " + "x" * 30, 100) for i in range(30)]
    samples, _ = cut(*thread, say("U0ADA", 200, "that was a lot", 100), shape=Shape(messages, characters))
    context = samples[0].turns[0].content
    assert context.count("Bram: ") <= messages
    assert context.endswith("line 29 " + "x" * 30)
    assert len(context) <= characters + 60 + messages * 10


authors = st.sampled_from(["U0ADA", "U0BRAM", "U0CHIYO", None])
messages = st.lists(
    st.tuples(authors, st.integers(1, 20_000), st.text(max_size=30), st.none() | st.integers(1, 20_000)),
    max_size=60,
    unique_by=lambda row: row[1],
)


@given(messages)
def test_whatever_was_said_each_own_message_is_learnt_or_counted_once(rows: list[Any]) -> None:
    said = [say(user, at, text, thread) for user, at, text, thread in rows]
    samples, dropped = cut(*said)
    for sample in samples:
        assert sample.turns[-1].role == "user"
        assert reason_to_drop(sample.response) is None
    own = [m for m in said if m.user_id == "U0ADA"]
    assert len(samples) + sum(dropped.values()) <= len(own)
    assert len({sample.ts for sample in samples}) == len(samples)
    assert cut(*reversed(said)) == (samples, dropped)


@given(st.integers(1, 10), st.integers(0, 60))
def test_the_newest_are_kept(limit: int, count: int) -> None:
    kept = Newest(limit)
    cutter_samples, _ = cut(say("U0BRAM", 1, "question one", 1), say("U0ADA", 2, "answer number one", 1))
    for number in range(count):
        kept.add(f"c{number}", [cutter_samples[0].model_copy(update={"ts": f"{number}.000000"})])
    kept.prune()
    left = {sample.ts for samples in kept.groups.values() for sample in samples}
    assert left == {f"{number}.000000" for number in range(max(0, count - limit), count)}
    assert kept.dropped == max(0, count - limit)
