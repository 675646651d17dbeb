"""What Slack shows of a voice report: numbers and a sentence, never what anybody wrote."""

from uuid import UUID

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


def test_a_published_voice_is_announced_with_its_report() -> None:
    told = render_result(
        result(style_to_own=0.412, style_to_others=0.9, authorship=0.75, overlap_words=4), None
    )
    assert told["text"].split("\n")[1:] == [
        "*Voice report:* held-out loss 3.00 → 2.40 · style distance to them 0.41 (to others 0.90) · "
        "taken for theirs 75% · longest repeat 4 words",
        SENTENCE,
    ]


def test_what_was_not_measured_is_not_told() -> None:
    assert "*Voice report:* held-out loss 3.00 → 2.40\n" in render_result(result(), None)["text"]
