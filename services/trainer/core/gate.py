"""Publish or reject. An adapter no better than its base has learnt nothing; one that recites has learnt too much."""

import math
from typing import Final

from proto.body import Body
from proto.report import Measures

RECITED_WORDS: Final = 16  # in a row, of what was written once or twice: about one whole message


class Verdict(Body):
    """The gate's word on one run. `reason` is one sentence, and empty where it is published."""

    publish: bool
    reason: str = ""


def judge(measures: Measures) -> Verdict:
    """Look at the held-out losses (nats per persona token, test split), then at what comes out word for word."""
    base, adapter = measures.base_test_loss, measures.test_loss
    if not (math.isfinite(base) and math.isfinite(adapter)):
        return Verdict(publish=False, reason="The held-out loss is not a number, so nothing is published.")
    if adapter >= base:
        return Verdict(
            publish=False,
            reason=(
                f"The trained voice is no better than the plain model on held-out messages "
                f"({adapter:.2f} against {base:.2f}). Try again when there is more history."
            ),
        )
    if reason := _recites(measures):
        return Verdict(publish=False, reason=reason)
    return Verdict(publish=True)


def _recites(measures: Measures) -> str:
    found = measures.memorisation
    if found is None:
        return ""
    remedy = "Train for fewer epochs or with a smaller learning rate."
    if found.canaries_out:
        return (
            f"The trained voice gives away {found.canaries_out} of {found.canaries} strings from the training "
            f"messages that nobody could guess, so it is not published. {remedy}"
        )
    longest = max(found.overlap_words, found.extracted_words)
    if longest >= RECITED_WORDS:
        return (
            f"The trained voice recites its training messages, up to {longest} words in a row, "
            f"so it is not published. {remedy}"
        )
    return ""


def summarise(measures: Measures) -> str:
    """The report of a published voice in one sentence."""
    gain = 1 - measures.test_loss / measures.base_test_loss
    said = [
        f"It foresees held-out messages {gain:.0%} better than the plain model "
        f"({measures.test_loss:.2f} against {measures.base_test_loss:.2f} nats a token)"
    ]
    if (authorship := measures.authorship) and measures.answers:
        said.append(
            f"a classifier takes {authorship.generated:.0%} of its answers for the person's "
            f"({authorship.real:.0%} of their real messages)"
        )
    if found := measures.memorisation:
        longest = max(found.overlap_words, found.extracted_words)
        said.append(
            f"the longest run of words that it repeats from training is {longest}"
            if longest
            else "it repeats nothing from training word for word"
        )
    return "; ".join(said) + "."
