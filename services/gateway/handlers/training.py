"""A training from the yes to the outcome, and the one message that tells how far it is."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown
from proto.body import derived_id
from proto.errors import TransientError
from proto.generate import Cancel
from proto.scrape import ScrapeProgress, ScrapeRequest, ScrapeResult
from proto.subjects import SCRAPE_REQUEST
from proto.train import TrainProgress
from services.gateway.core.outbox import Key, NewRow, OutboxRow
from services.gateway.core.progress import (
    CUT,
    render_dataset,
    render_scrape,
    render_started,
    render_train,
    stage_of,
)
from services.gateway.core.reply import Post
from services.gateway.core.training import select_source
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.posting import Poster
from services.gateway.repository import Training

log = logging.getLogger(__name__)

ON_ITS_WAY_S = 2.0


@dataclass(frozen=True)
class TrainingFlow:
    """Every step may be repeated: ids are derived, states go forward only."""

    desk: Desk
    poster: Poster

    async def start(self, training: Training) -> None:
        """The person agrees: read the history, and say in the channel that it has begun."""
        desk = self.desk
        source = select_source(
            await desk.workspaces.newest_corpus_at(training.team_id),
            api_allowed=desk.api_training_allowed,
            max_age=desk.clocks.corpus_max_age,
            now=datetime.now(UTC),
        )
        request = ScrapeRequest(
            request_id=training.request_id,
            team_id=training.team_id,
            source=source,
            user_id=training.user_id,
            then_train=True,
            requested_at=training.requested_at,
        )
        await self._tell_first(training, render_started(training.user_id))
        await desk.bus.publish(SCRAPE_REQUEST, request, key=str(training.request_id))
        await desk.trainings.advance(training.request_id, "scraping")

    async def stop(self, training: Training, post: Post, *, reason: str) -> None:
        """The person said no, or somebody stopped it: end what is under way, and say so."""
        if training.state == "done":
            return
        row = await self._row(training)
        if row is not None and not (row.state == "pending" and await self.desk.outbox.rewrite(row, post)):
            if row.state in ("pending", "sending"):
                raise TransientError("The progress message is on its way.", delay_s=ON_ITS_WAY_S)
            await self._show(row, post)  # before it counts as done: whoever is interrupted here does it again
        await self._cancel(training, reason)
        await self.desk.trainings.finish(training.request_id, post, cancelled=True)
        await self.finish(training, post)  # progress may have come in between

    async def _cancel(self, training: Training, reason: str) -> None:
        """Lossy: whoever tells of progress later hears it again."""
        cancel = Cancel(reason=reason)
        await self.desk.bus.publish_core(f"scrape.cancel.{training.request_id}", cancel)
        await self.desk.bus.publish_core(f"train.cancel.{training.run_id}", cancel)

    async def finish(self, training: Training, post: Post) -> OutboxRow | None:
        """Write the outcome down, and into the progress message. The first outcome stays.

        Returns the message's row. None: the question was never answered with yes, so there is no message.
        """
        await self.desk.trainings.finish(training.request_id, post)
        known = await self.desk.trainings.fetch(training.request_id)
        outcome = known.outcome if known and known.outcome else post
        row = await self._row(training)
        if row is None:
            return None
        if row.state == "pending" and await self.desk.outbox.rewrite(row, outcome):
            await self.poster.post_due(row.request_id)
            return await self._row(training)
        row = await self._row(training)
        if row is None or row.state in ("pending", "sending"):
            raise TransientError("The progress message is on its way.", delay_s=ON_ITS_WAY_S)
        await self._show(row, outcome)
        return row

    async def on_progress(self, progress: ScrapeProgress | TrainProgress, request_id: UUID) -> None:
        """Show how far it is. Lossy: the next one shows more, and the outcome shows all."""
        training = await self.desk.trainings.fetch(request_id)
        if training is not None and training.cancelled:
            await self._cancel(training, "cancelled")
            return
        post = render_scrape(progress) if isinstance(progress, ScrapeProgress) else render_train(progress)
        await self._tell(request_id, stage_of(progress), post)

    async def on_dataset(self, result: ScrapeResult) -> None:
        """Show what there is to learn from, until the training tells more."""
        if result.user_id is not None and result.summary is not None:
            await self._tell(result.request_id, CUT, render_dataset(result.user_id, result.summary))

    async def _tell(self, request_id: UUID, stage: int, post: Post) -> None:
        desk = self.desk
        training = await desk.trainings.may_tell(request_id, stage, desk.clocks.progress_every_s)
        if training is None:
            return
        row = await self._row(training)
        if row is None or row.message_ts is None:
            return
        try:
            await self._show(row, post)
            known = await desk.trainings.fetch(request_id)
            if known is not None and known.outcome is not None:  # it ended meanwhile: the end is what stays
                await self._show(row, known.outcome)
        except (SlackAway, SlackUnknown) as error:
            log.warning("progress not shown", extra={"error": type(error).__name__})

    async def _tell_first(self, training: Training, post: Post) -> None:
        if not training.channel:
            return
        request_id = _progress_id(training)
        await self.desk.outbox.add(
            NewRow(
                Key(training.api_app_id, training.channel, f"run:{training.run_id}"),
                training.team_id,
                "progress",
                request_id,
                user_id=training.user_id,
                asked_by=training.asked_by,
                body=post,
            )
        )
        await self.poster.post_due(request_id)

    async def _row(self, training: Training) -> OutboxRow | None:
        return await self.desk.outbox.fetch(_progress_id(training))

    async def _show(self, row: OutboxRow, post: Post) -> None:
        """Rewrite the message. One that somebody deleted stays deleted."""
        installed = await self.desk.workspaces.fetch(row.team_id)
        if installed is None or row.message_ts is None:
            return
        try:
            await self.desk.at(installed).update(row.key.channel, row.message_ts, post)
        except SlackRefused as error:
            log.warning("progress message not changed", extra={"reason": error.reason})


def _progress_id(training: Training) -> UUID:
    return derived_id("progress", str(training.run_id))
