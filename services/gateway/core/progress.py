"""The progress message of a training: one line and a bar, which only ever goes forward."""

from typing import Any, Final

from proto.dataset import DatasetSummary, say_dropped, say_summary
from proto.scrape import ScrapeProgress
from proto.train import RunState, TrainProgress, TrainResult
from services.gateway.core.reply import with_mentions
from services.gateway.core.report import what_stays

WIDTH: Final = 20
STAGES: Final = (
    "reading",
    "writing",
    "cutting",
    "cut",
    "queued",
    "preparing",
    "training",
    "evaluating",
    "publishing",
)


CUT: Final = STAGES.index("cut") + 1


def stage_of(progress: ScrapeProgress | TrainProgress) -> int:
    """How far along the stages it is, from 1: a message never goes back."""
    return STAGES.index(progress.stage) + 1


def render_started(user_id: str) -> dict[str, Any]:
    """As soon as it is allowed."""
    return {"text": f"Learning how <@{user_id}> writes: waiting for the history to be read."}


def render_scrape(progress: ScrapeProgress) -> dict[str, Any]:
    """While the history is read."""
    channels = (
        f", {progress.channels_done} of {progress.channel_count} channels" if progress.channel_count else ""
    )
    left = f", about {_spoken(progress.eta_s)} left" if progress.eta_s and progress.stage == "reading" else ""
    slow = " Slack lets this app read 15 messages a minute." if progress.slow_mode else ""
    return {
        "text": f"Learning how <@{progress.user_id}> writes: {progress.step:,} messages read{channels}{left}.{slow}"
    }


def render_dataset(user_id: str, summary: DatasetSummary) -> dict[str, Any]:
    """Once there is something to learn from: its numbers, never its words."""
    return {"text": f"Learning how <@{user_id}> writes: {_numbers(summary)}."}


def _numbers(summary: DatasetSummary) -> str:
    left_out = say_dropped(summary.dropped)
    return say_summary(summary) + (f"; left out: {left_out}" if left_out else "")


def render_train(progress: TrainProgress) -> dict[str, Any]:
    """While it trains."""
    who = f"Learning how <@{progress.user_id}> writes"
    if progress.stage == "queued":
        place = f", {_nth(progress.queue_position)} in the queue" if progress.queue_position else ""
        return {"text": f"{who}: waiting for another training to end{place}."}
    if not progress.total:
        return {"text": f"{who}: {progress.stage}."}
    done = round(WIDTH * min(progress.step, progress.total) / progress.total)
    bar = "█" * done + "░" * (WIDTH - done)
    left = (
        f", about {_spoken(progress.eta_s)} left" if progress.eta_s and progress.stage == "training" else ""
    )
    loss = progress.validation_loss if progress.validation_loss is not None else progress.train_loss
    shown = f", loss {loss:.2f}" if loss is not None else ""
    return {"text": f"{who}: `{bar}` step {progress.step} of {progress.total}{shown}{left}."}


def _nth(place: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10 if place % 100 not in (11, 12, 13) else 0, "th")
    return f"{place}{ending}"


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    hours = round(seconds / 3600)
    return f"{hours} hours" if hours < 48 else f"{round(hours / 24)} days"


def render_result(
    result: TrainResult,
    sentence: str | None,
    summary: DatasetSummary | None = None,
    *,
    others_answer: bool = False,
) -> dict[str, Any]:
    """How it ended, with what to do next, and what was learnt from. `others_answer`: an earlier version is in use."""
    who = f"<@{result.user_id}>"
    if result.state is RunState.PUBLISHED and sentence is None:
        ready = f"{who} is ready: mention me, and I answer in that voice, marked as AI."
        learnt = [f"Learnt from {_numbers(summary)}."] if summary and summary.sample_count else []
        return {"text": "\n".join([ready, *_in_short(result), *learnt])}
    said = sentence or (
        result.error.message if result.error else f"The training of {who} ended: {result.state}."
    )
    if result.state is RunState.REJECTED:
        said = f"{said} {what_stays(who, others_answer=others_answer)}"
    return {"text": with_mentions(said)}


def _in_short(result: TrainResult) -> list[str]:
    """What the report says, in one sentence; all of it stands in the thread."""
    if result.report is not None:
        return [f"{result.report.sentence} The report is in this thread."]
    if result.base_test_loss is None or result.test_loss is None:
        return []
    return [f"Held-out loss {result.base_test_loss:.2f} → {result.test_loss:.2f}."]
