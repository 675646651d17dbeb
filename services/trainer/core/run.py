"""One run: whose it is, and how its end is told."""

from dataclasses import dataclass
from uuid import UUID

from pydantic import AwareDatetime

from proto.body import Body, ErrorInfo
from proto.errors import Cancelled, DoppelError
from proto.report import ReportRef
from proto.train import AdapterRef, RunState, TrainResult
from services.trainer.core.job import Finished

# Holders and children that were lost without the run getting further meanwhile.
MAX_LOST = 12  # it will end the next one too
MAX_CHILDREN_LOST = 6  # after half of them the passes shrink; then it is the machine that is too small


class Withdrawn(Cancelled):
    """The person has said no while their training ran."""

    def __init__(self, user_id: str) -> None:
        DoppelError.__init__(
            self, f"<@{user_id}> has said no meanwhile, so the training was stopped. Nothing of it is left."
        )


class Run(Body):
    """What every row, key and message of one run is named by."""

    run_id: UUID
    request_id: UUID
    team_id: str
    user_id: str
    requested_at: AwareDatetime


@dataclass(frozen=True)
class Asked:
    """A run that is asked for on the bus, and its place in the stream."""

    run: Run
    sequence: int


def ended_in(run: Run, error: DoppelError) -> TrainResult:
    """The result of a run that came to nothing; the same that the bus answers with."""
    return ended_with(run, error.info())


def ended_with(run: Run, error: ErrorInfo) -> TrainResult:
    """The same, from a stored error."""
    state = RunState.CANCELLED if error.code == Cancelled.code else RunState.FAILED
    return _result(run, state=state, error=error)


def rejected(
    run: Run, finished: Finished, reason: str, *, base_model: str, report: ReportRef | None = None
) -> TrainResult:
    """The gate said no; the former adapter stays."""
    error = ErrorInfo(code="rejected", message=reason)
    return _result(
        run, state=RunState.REJECTED, finished=finished, base_model=base_model, error=error, report=report
    )


def published(
    run: Run,
    finished: Finished,
    adapter: AdapterRef,
    *,
    base_model: str,
    report: ReportRef | None = None,
) -> TrainResult:
    """A new adapter."""
    return _result(
        run,
        state=RunState.PUBLISHED,
        finished=finished,
        base_model=base_model,
        adapter=adapter,
        report=report,
    )


def result_key(result: TrainResult) -> str:
    """The derived part of the result's message id: a redelivery says the same once."""
    return f"{result.request_id}/{result.error.code if result.error else result.state.value}"


def _result(
    run: Run,
    *,
    state: RunState,
    finished: Finished | None = None,
    base_model: str | None = None,
    adapter: AdapterRef | None = None,
    error: ErrorInfo | None = None,
    report: ReportRef | None = None,
) -> TrainResult:
    return TrainResult(
        request_id=run.request_id,
        run_id=run.run_id,
        team_id=run.team_id,
        user_id=run.user_id,
        state=state,
        requested_at=run.requested_at,
        adapter=adapter,
        base_model=base_model,
        sample_count=finished.sample_count if finished else None,
        step_count=finished.step_count if finished else None,
        base_test_loss=finished.base_test_loss if finished else None,
        test_loss=finished.test_loss if finished else None,
        train_s=finished.train_s if finished else None,
        report=report,
        error=error,
    )
