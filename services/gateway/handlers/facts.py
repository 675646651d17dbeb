"""``scrape.result``, ``train.result`` and their progress: from the yes to the active adapter."""

import logging
from dataclasses import dataclass

from doppel.bus import Delivery
from proto.errors import NoConsent
from proto.scrape import ScrapeProgress, ScrapeResult
from proto.subjects import TRAIN_REQUEST, TRAIN_RESULT
from proto.train import RunState, TrainProgress, TrainRequest, TrainResult, run_id_of
from services.gateway.core.progress import render_result
from services.gateway.core.reply import with_mentions
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.report import Reports
from services.gateway.handlers.training import TrainingFlow
from services.gateway.repository import Training

log = logging.getLogger(__name__)

SUPERSEDED = "A newer training of <@{}> is in use, so this one changes nothing."


@dataclass(frozen=True)
class Facts:
    """What scraper and trainer tell."""

    desk: Desk
    flow: TrainingFlow
    reports: Reports

    async def on_scrape_result(self, result: ScrapeResult, delivery: Delivery) -> None:
        """The dataset is there: train, if that was asked for and the person still agrees."""
        training = await self.desk.trainings.fetch(result.request_id)
        if result.error is not None:
            if training is not None:
                await self.flow.finish(training, {"text": with_mentions(result.error.message)})
            return
        if not result.then_train or result.user_id is None or (training is not None and training.cancelled):
            return
        requested_at = result.requested_at or delivery.stored_at
        if not await self.desk.personas.has_consent(result.team_id, result.user_id):
            await self._refuse_training(result, result.user_id)
            return
        request = TrainRequest(
            request_id=result.request_id,
            team_id=result.team_id,
            user_id=result.user_id,
            dataset_id=result.dataset_id,
            overrides=result.overrides,
            requested_at=requested_at,
        )
        await self.desk.bus.publish(TRAIN_REQUEST, request, key=str(result.request_id))
        await self.desk.trainings.advance(result.request_id, "training")
        await self.flow.on_dataset(result)

    async def _refuse_training(self, result: ScrapeResult, user_id: str) -> None:
        """A typed outcome for whoever waits for this run; it comes back to us as ``train.result``."""
        error = NoConsent(user_id)
        outcome = TrainResult(
            request_id=result.request_id,
            run_id=run_id_of(result.request_id, user_id),
            team_id=result.team_id,
            user_id=user_id,
            state=RunState.FAILED,
            requested_at=result.requested_at,
            error=error.info(),
        )
        await self.desk.bus.publish(TRAIN_RESULT, outcome, key=f"{result.request_id}/{error.code}")

    async def on_train_result(self, result: TrainResult, delivery: Delivery) -> None:
        """A published adapter becomes the active one, if it is the newest and the person still agrees."""
        sentence = None
        if result.state is RunState.PUBLISHED and result.adapter is not None:
            active = await self.desk.personas.activate(
                result.team_id,
                result.user_id,
                result.adapter,
                result.base_model or "",
                result.requested_at or delivery.stored_at,
            )
            if not active:
                agrees = await self.desk.personas.has_consent(result.team_id, result.user_id)
                sentence = SUPERSEDED.format(result.user_id) if agrees else str(NoConsent(result.user_id))
            log.info("run published", extra={"run_id": str(result.run_id), "active": active})
        training = await self.desk.trainings.fetch(result.request_id)
        if training is not None:
            async with delivery.heartbeat():  # the bucket and Slack may be slow
                await self._tell(training, result, sentence)

    async def _tell(self, training: Training, result: TrainResult, sentence: str | None) -> None:
        """The outcome in the progress message, and the report below it."""
        summary = await self.desk.trainings.dataset_summary(result.run_id)
        active = await self.desk.personas.fetch_active(result.team_id)
        others_answer = any(each.user_id == result.user_id for each in active)
        outcome = render_result(result, sentence, summary, others_answer=others_answer)
        progress = await self.flow.finish(training, outcome)
        if progress is not None and result.report is not None:
            await self.reports.tell(training, progress, result.report.prefix, result.report.manifest_sha256)

    async def on_scrape_progress(self, progress: ScrapeProgress, _: Delivery) -> None:
        """How far the reading is."""
        await self.flow.on_progress(progress, progress.request_id)

    async def on_train_progress(self, progress: TrainProgress, _: Delivery) -> None:
        """How far the run is."""
        await self.flow.on_progress(progress, progress.request_id)
