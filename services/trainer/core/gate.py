"""Publish or reject: an adapter that is no better than its base on words it never saw has learnt nothing."""

import math

from proto.body import Body


class Verdict(Body):
    """The gate's word on one run."""

    publish: bool
    reason: str = ""


def judge(base_test_loss: float, test_loss: float) -> Verdict:
    """Both losses are nats per persona token on the held-out test split."""
    if not (math.isfinite(base_test_loss) and math.isfinite(test_loss)):
        return Verdict(publish=False, reason="The held-out loss is not a number, so nothing is published.")
    if test_loss >= base_test_loss:
        return Verdict(
            publish=False,
            reason=(
                f"The trained voice is no better than the plain model on held-out messages "
                f"({test_loss:.2f} against {base_test_loss:.2f}). Try again when there is more history."
            ),
        )
    return Verdict(publish=True)
