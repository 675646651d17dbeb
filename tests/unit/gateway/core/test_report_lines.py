"""What Slack shows of a voice report: numbers and a sentence, never what anybody wrote."""

from uuid import UUID

import pytest

from proto.body import ErrorInfo
from proto.report import ReportRef
from proto.train import RunState, TrainResult
from services.gateway.core.progress import render_result

ID = UUID("11111111-1111-5111-8111-111111111111")
SENTENCE = "It foresees held-out messages 20% better than the plain model (2.40 against 3.00 nats a token)."


def result(**report: object) -> TrainResult:
    return TrainResult(
        request_id=ID,
        run_id=ID,
        team_id="T1",
        user_id="U1",
        state=RunState.PUBLISHED,
        base_test_loss=3.0,
        test_loss=2.4,
        report=ReportRef.model_validate(
            {"prefix": "a/b", "manifest_sha256": "0" * 64, "sentence": SENTENCE} | report
        ),
    )


def test_a_published_voice_is_announced_with_what_its_report_says_in_short() -> None:
    told = render_result(result(style_to_own=0.412, authorship=0.75, overlap_words=4), None)
    assert told["text"].split("\n")[1:] == [f"{SENTENCE} The report is in this thread."]


def test_without_a_report_the_losses_are_told() -> None:
    bare = result().model_copy(update={"report": None})
    assert render_result(bare, None)["text"].split("\n")[1:] == ["Held-out loss 3.00 → 2.40."]


@pytest.mark.parametrize(
    ("others_answer", "said"),
    [(True, "The version before it still answers as <@U1>."), (False, "Nobody answers as <@U1> yet.")],
)
def test_a_rejected_voice_is_told_with_its_reason_and_what_stays(others_answer: bool, said: str) -> None:
    reason = "The trained voice is no better than the plain model."
    rejected = result().model_copy(
        update={"state": RunState.REJECTED, "error": ErrorInfo(code="rejected", message=reason)}
    )
    assert render_result(rejected, None, others_answer=others_answer)["text"] == f"{reason} {said}"
