from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Sample, Turn
from services.trainer.core.heaps import others_messages, own_messages, without_quotes


def sample(context: str, response: str = "yes") -> Sample:
    return Sample(
        turns=(Turn(role="user", content=context),), response=response, channel_id="C1", ts="1.000001"
    )


def test_each_message_of_the_person_counts_for_itself() -> None:
    assert own_messages([sample("Bob: hi", "hello\n\nwhat is up?"), sample("Bob: hi", "bye")]) == [
        "hello",
        "what is up?",
        "bye",
    ]


def test_others_words_are_found_by_speaker_once_and_without_apps() -> None:
    context = "Bob: one\ngoes on\nEve: two: three\napp: build 7 failed"
    assert others_messages([sample(context), sample("Bob: one")]) == {
        "Bob": ["one", "goes on"],
        "Eve": ["two: three"],
    }


def test_links_code_and_quotes_are_not_their_words() -> None:
    text = 'see https://x.example/abc and `make x`\n> they said so\n"a long quoted sentence" or not'
    assert without_quotes(text).split() == ["see", "and", "or", "not"]


@given(st.text())
def test_any_text_can_be_cleaned(text: str) -> None:
    assert len(without_quotes(text)) <= len(text) + text.count('"') + 10
