from hypothesis import given
from hypothesis import strategies as st

from services.trainer.core.stylometry import compare, habits

TERSE = ["yes", "no idea", "try again", "works here", "dunno tbh", "nope", "ok then", "ask bob"] * 4
FORMAL = [
    "I would suggest that you read the manual, and then the release notes.",
    "Could you tell me, please, which version of the package you have installed?",
    "That is expected; the service restarts whenever its configuration changes.",
    "Thank you very much for the report! I will look into it tomorrow.",
] * 8


def test_a_voice_is_nearer_to_its_own_person_than_to_others() -> None:
    style = compare(TERSE, TERSE[3:17], FORMAL, base=FORMAL[:8])
    assert style is not None
    assert style.to_others is not None
    assert style.base_to_own is not None
    assert style.to_own < 0.3 * style.to_others
    assert style.to_own < style.base_to_own
    assert any(feature.name == "words in a message" for feature in style.features)


def test_too_little_text_is_no_style() -> None:
    assert compare(["hi"], TERSE, FORMAL) is None
    assert compare(TERSE, [], FORMAL) is None


def test_without_other_people_there_is_still_a_style() -> None:
    style = compare(TERSE, FORMAL, [])
    assert style is not None
    assert style.to_others is None
    assert style.to_own > 1


@given(st.lists(st.text(), max_size=12))
def test_any_script_and_any_emptiness_has_habits(texts: list[str]) -> None:
    assert all(value >= 0 for value in habits(texts, ["the", "и", "و"]).values())
