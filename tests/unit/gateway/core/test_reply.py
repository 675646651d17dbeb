"""What is posted can do nothing but be read."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.reply import (
    EMPTY,
    MAX_MESSAGES,
    MAX_PARTS,
    PART_LIMIT,
    ai_label,
    in_place_of,
    is_marked,
    metadata,
    render_answer,
    render_sentence,
    with_mentions,
)
from services.gateway.core.thread import Voice

ADA = Voice("U2", "Ada")
ITSELF = Voice(None, "doppel")
URL = "http://gateway/avatars/x.png"


def test_every_part_of_a_persona_says_that_an_ai_wrote_it() -> None:
    parts = render_answer("word " * 2000, ADA, icon_url=URL)
    assert len(parts) > 1
    for part in parts:
        assert part["username"] == "Ada (AI)"
        assert part["icon_url"] == URL
        assert part["blocks"][0]["text"]["text"] == part["text"]
        assert part["blocks"][-1]["elements"][0]["text"] == ai_label("Ada")


def texts(answer: str, voice: Voice = ADA) -> list[str]:
    return [part["text"] for part in render_answer(answer, voice, icon_url=URL)]


def test_a_persona_answers_in_several_messages_where_its_person_would() -> None:
    assert texts("one\n\ntwo\nlines\n \nthree") == ["one", "two\nlines", "three"]
    assert texts("see\n\n```\na\n\nb\n```") == ["see", "```\na\n\nb\n```"]


def test_a_persona_sends_five_messages_at_most_and_says_all() -> None:
    said = texts("\n\n".join("abcdefgh"))
    assert len(said) == MAX_MESSAGES
    assert said[-1] == "e\n\nf\n\ng\n\nh"


def test_the_base_model_answers_in_one_message() -> None:
    assert texts("one\n\ntwo", ITSELF) == ["one\n\ntwo"]


def test_the_bot_itself_wears_no_disguise() -> None:
    assert render_answer("hi", ITSELF, icon_url="") == [{"text": "hi"}]


def test_silence_is_said() -> None:
    assert render_answer(" \u202e ", ITSELF, icon_url="") == [{"text": EMPTY}]


def test_a_late_answer_begins_with_its_note() -> None:
    assert render_answer("hi", ITSELF, icon_url="", note="Late.") == [{"text": "(Late.) hi"}]


@given(st.text(max_size=8000))
def test_no_words_of_the_model_are_alive(text: str) -> None:
    parts = render_answer(text, ADA, icon_url=URL)
    assert 1 <= len(parts) <= MAX_PARTS
    for part in parts:
        assert 0 < len(part["text"]) <= PART_LIMIT
        assert "<" not in part["text"]
        assert not re.search(r"@(channel|here|everyone)\b", part["text"], re.IGNORECASE)
        part["text"].encode()


def test_a_sentence_names_people_without_calling_them() -> None:
    assert render_sentence("<@U2> said no <!channel>", {"U2": "Ada"}) == {
        "text": "@Ada said no @\u2060channel"
    }


def test_those_concerned_may_be_called() -> None:
    assert with_mentions("<@U2> & <!here> <https://x>") == "<@U2> &amp; &lt;!here&gt; &lt;https://x&gt;"


STRANGE = st.none() | st.integers() | st.text(max_size=9) | st.lists(st.integers(), max_size=2)


@given(STRANGE | st.fixed_dictionaries({"event_type": STRANGE, "event_payload": STRANGE}))
def test_strange_metadata_is_not_ours(mark: Any) -> None:
    assert not is_marked({"bot_id": "B1", "metadata": mark}, request_id="r", part=0, app_id="A1", bot_id="B1")


def test_a_mark_counts_only_on_our_own_post() -> None:
    post = {"bot_id": "B1", "app_id": "A1", "metadata": metadata("r", 1)}
    ours = {"app_id": "A1", "bot_id": "B1"}
    assert is_marked(post, request_id="r", part=1, **ours)
    assert not is_marked(post, request_id="r", part=0, **ours)
    assert not is_marked(post, request_id="q", part=1, **ours)
    assert not is_marked(post | {"bot_id": "B9"}, request_id="r", part=1, **ours)


@given(st.lists(st.text("abc d", min_size=1, max_size=4000), min_size=1, max_size=6), st.integers(1, 12))
def test_an_answer_made_anew_uses_the_messages_that_are_there(said: list[str], count: int) -> None:
    posts = render_answer("\n\n".join(said), ADA, icon_url=URL)
    targets = [f"1.{n}" for n in range(count)]
    made = in_place_of(posts, targets)
    assert [each["rewrites"] for each in made] == targets
    kept = [each for each in made if not each.get("is_gone")]
    assert len(kept) == min(len(posts), count)
    assert [each["text"] for each in kept[:-1]] == [each["text"] for each in posts[: len(kept) - 1]]
    for each in kept:
        assert 0 < len(each["text"]) <= 4000
        assert each["blocks"][-1]["elements"][0]["text"] == ai_label("Ada")
        assert "username" not in each
