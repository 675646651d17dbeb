from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import Cancelled, NoConsent
from proto.train import AdapterRef, RunState
from services.trainer.core.job import (
    MAX_LINE_BYTES,
    Failed,
    Finished,
    Progressed,
    Used,
    parse_event,
    render_event,
)
from services.trainer.core.run import Run, ended_in, published, rejected, result_key
from services.trainer.core.schedule import learning_rate
from services.trainer.core.throttle import Throttle

RUN = Run(
    run_id=uuid4(),
    request_id=uuid4(),
    team_id="T0ADA",
    user_id="U0ADA",
    requested_at=datetime(2026, 1, 1, tzinfo=UTC),
)
FINISHED = Finished(
    folder="/x",
    report_folder="/y",
    step_count=8,
    best_step=8,
    sample_count=100,
    base_test_loss=3.0,
    test_loss=2.0,
    validation_loss=2.1,
    used=Used(precision="fp32", micro_batch_tokens=768),
    train_s=12,
)


@given(st.integers(1, 1000), st.floats(0, 0.5), st.floats(1e-6, 1e-1))
def test_the_rate_rises_to_its_peak_once_and_never_leaves_its_bounds(
    steps: int, warmup_ratio: float, peak: float
) -> None:
    warmup = min(round(steps * warmup_ratio), steps - 1)
    rates = [learning_rate(s, peak=peak, warmup_steps=warmup, step_count=steps) for s in range(steps)]
    assert all(0 < rate <= peak * 1.0001 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert max(rates) == pytest.approx(peak)


@given(st.text(max_size=20_000), st.text(max_size=20_000))
def test_no_line_of_the_childs_is_longer_than_one_write(reason: str, stack: str) -> None:
    line = render_event(Failed(code="internal", reason=reason[:100], stack=stack))
    assert len(line) <= MAX_LINE_BYTES
    assert isinstance(parse_event(line), Failed)


def test_a_line_says_which_event_it_is() -> None:
    event = Progressed(stage="training", step=3, total=8, train_loss=2.5)
    assert parse_event(render_event(event)) == event


def test_each_end_of_a_run_has_its_own_derived_message_id() -> None:
    ref = AdapterRef(run_id=RUN.run_id, prefix="a/b", manifest_sha256="0" * 64)
    ends = [
        published(RUN, FINISHED, ref, base_model="tiny"),
        rejected(RUN, FINISHED, "No better.", base_model="tiny"),
        ended_in(RUN, Cancelled()),
        ended_in(RUN, NoConsent("U0ADA")),
    ]
    assert [end.state for end in ends] == [
        RunState.PUBLISHED,
        RunState.REJECTED,
        RunState.CANCELLED,
        RunState.FAILED,
    ]
    assert [result_key(end).split("/")[1] for end in ends] == [
        "published",
        "rejected",
        "cancelled",
        "no_consent",
    ]


def test_progress_is_said_at_each_stage_and_then_seldom() -> None:
    throttle = Throttle(every_s=2)
    said = [
        throttle.may_say(*args) for args in [("a", 0), ("a", 1), ("a", 2), ("b", 2.1), ("b", 4), ("b", 4.2)]
    ]
    assert said == [True, False, True, True, False, True]
