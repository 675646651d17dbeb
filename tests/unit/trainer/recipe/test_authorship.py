from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from services.trainer.recipe.authorship import LEAST, judge_authorship, spread

OWN: Final = [f"arr, mind the {word} rocks, ahoy" for word in ("red", "old", "big", "far")] * 10
OTHERS: Final = [f"Kindly consult section {n} of the manual." for n in range(40)]


def test_the_classifier_knows_the_person_and_is_not_fooled_by_the_base() -> None:
    verdict = judge_authorship(OWN, OWN[:8], OTHERS, ["arr, the far rocks"], ["Please consult the manual."])
    assert verdict is not None
    assert (verdict.generated, verdict.base, verdict.real) == (1, 0, 1)
    assert verdict.others == 0


def test_too_little_real_text_is_no_verdict() -> None:
    assert judge_authorship(OWN[: LEAST - 1], OWN, OTHERS, ["hi"], []) is None
    assert judge_authorship(OWN, OWN, [], ["hi"], []) is None
    assert judge_authorship(OWN, OWN, OTHERS, [], []) is None


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=LEAST, max_size=24))
def test_any_script_emoji_or_blank_is_judged(texts: list[str]) -> None:
    verdict = judge_authorship(["👍🎉", *texts], texts, [*OTHERS, "مرحبا", "שלום"], ["👍"], texts[:2])
    assert verdict is not None
    assert 0 <= verdict.generated <= 1


def test_a_spread_covers_the_whole() -> None:
    assert spread(["a", "b", "c", "d"], 2) == ["a", "c"]
    assert spread(["a"], 2) == ["a"]
