"""A command that came to nothing is answered, as long as its body says whose it was."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from doppel.bus.settle import Origin, result_for
from proto.body import ErrorInfo, id_of_delivery
from proto.generate import GenerateResult
from proto.scrape import ScrapeResult
from proto.train import RunState, TrainResult, run_id_of

ORIGIN = Origin("TRAIN_REQUEST", "trainer", 7, 1, datetime(2026, 1, 1, tzinfo=UTC))
INFO = ErrorInfo(code="no_consent", message="No.")
REQUEST = "00000000-0000-0000-0000-000000000001"


def test_a_refused_training_names_its_run() -> None:
    data = b'{"request_id": "%s", "team_id": "T1", "user_id": "U1"}' % REQUEST.encode()
    result = result_for(TrainResult, data, ORIGIN, INFO)
    assert isinstance(result, TrainResult)
    assert (result.run_id, result.state) == (run_id_of(UUID(REQUEST), "U1"), RunState.FAILED)
    assert result.error == INFO


def test_a_hand_published_one_gets_the_id_of_its_place_in_the_stream() -> None:
    result = result_for(GenerateResult, b'{"team_id": "T1"}', ORIGIN, INFO)
    assert isinstance(result, GenerateResult)
    assert result.request_id == id_of_delivery("TRAIN_REQUEST", 7)


@pytest.mark.parametrize(
    "data", [b"", b"{oops", b"\xff\xfe", b"[]", b"[" * 3000, b'{"team_id": "../../x"}', b'"x"']
)
def test_a_body_that_says_nothing_has_no_result(data: bytes) -> None:
    assert result_for(ScrapeResult, data, ORIGIN, INFO) is None
