import math

import pytest

from proto.report import Authorship, Measures, Memorisation
from services.trainer.core.gate import RECITED_WORDS, judge, summarise


def measures(base: float = 3.0, adapter: float = 2.4, **memorised: int) -> Measures:
    found = {"overlap_words": 4, "extracted_words": 5, "probed": 12, "canaries": 2, "canaries_out": 0}
    return Measures(
        base_test_loss=base,
        test_loss=adapter,
        validation_loss=2.5,
        test_samples=20,
        answers=12,
        authorship=Authorship(generated=0.75, real=0.8, others=0.1, trained_on=400),
        memorisation=Memorisation(**(found | memorised)),
    )


def test_an_adapter_that_beats_its_base_is_published() -> None:
    assert judge(measures(3.0, 2.9)).publish


@pytest.mark.parametrize(
    ("base", "adapter"), [(3.0, 3.0), (3.0, 3.5), (3.0, math.nan), (math.inf, 1.0), (math.nan, math.nan)]
)
def test_one_that_learnt_nothing_is_not_and_says_why(base: float, adapter: float) -> None:
    verdict = judge(measures(base, adapter))
    assert not verdict.publish
    assert verdict.reason.endswith(".")


@pytest.mark.parametrize(
    "memorised",
    [{"overlap_words": RECITED_WORDS}, {"extracted_words": RECITED_WORDS + 9}, {"canaries_out": 1}],
)
def test_one_that_recites_is_not_published_however_good_its_loss(memorised: dict[str, int]) -> None:
    verdict = judge(measures(**memorised))
    assert not verdict.publish
    assert "Train for fewer epochs" in verdict.reason


def test_the_report_of_a_published_voice_is_one_sentence_with_its_numbers() -> None:
    said = summarise(measures())
    assert "20% better" in said
    assert "75% of its answers" in said
    assert said.endswith("from training is 5.")
