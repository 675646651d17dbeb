"""The voice report in Slack: in the thread of its training, or by DM to whoever may ask for it."""

import logging
from dataclasses import dataclass
from uuid import UUID

from doppel.storage import ObjectMissing
from proto.artifacts import REPORT_FILE, REPORT_PLOT_FILE, ReportManifest, manifest_key
from proto.body import derived_id
from proto.errors import ArtifactCorrupt, TransientError
from proto.report import VoiceReport
from services.gateway.core.outbox import Key, NewRow, OutboxRow
from services.gateway.core.report import picture_of, render_report
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.posting import Poster
from services.gateway.repository import Training

log = logging.getLogger(__name__)

ON_ITS_WAY_S = 2.0


@dataclass(frozen=True)
class Place:
    """Where a report goes, what makes it one, and who asked."""

    key: Key
    request_id: UUID
    team_id: str
    asked_by: str
    thread_ts: str | None = None


@dataclass(frozen=True)
class Reports:
    """Reads what the trainer has stored; writes one row a message, all of them or none."""

    desk: Desk
    poster: Poster

    async def tell(self, training: Training, progress: OutboxRow, prefix: str, sha256: str) -> None:
        """Below the progress message. Raises TransientError while that is on its way."""
        if progress.state == "failed":
            return  # there is no message to write below; /doppel report still shows it
        if progress.message_ts is None:
            raise TransientError("The progress message is on its way.", delay_s=ON_ITS_WAY_S)
        run_id = str(training.run_id)
        place = Place(
            Key(training.api_app_id, progress.key.channel, f"report:{run_id}"),
            derived_id("report", run_id),
            training.team_id,
            training.asked_by,
            thread_ts=progress.message_ts,
        )
        await self.send(place, training.user_id, prefix, sha256)

    async def send(self, place: Place, user_id: str, prefix: str, sha256: str) -> bool:
        """Numbers, answers, plot. False: the report can't be read, and never will."""
        if await self.desk.outbox.fetch(place.request_id) is None:
            found = await self._read(prefix, sha256)
            if found is None:
                return False
            await self.desk.outbox.add_parts(await self._rows(place, user_id, prefix, *found))
        await self.poster.post_due(place.request_id)
        return True

    async def _rows(
        self, place: Place, user_id: str, prefix: str, report: VoiceReport, manifest: ReportManifest
    ) -> list[NewRow]:
        name = await self.desk.personas.fetch_name(place.team_id, user_id)
        active = await self.desk.personas.fetch_active(place.team_id)
        posts = render_report(report, name, others_answer=any(each.user_id == user_id for each in active))
        plot = manifest.file(REPORT_PLOT_FILE).sha256
        posts.append(picture_of(f"{prefix}/{REPORT_PLOT_FILE}", plot, name))
        key = place.key
        return [
            NewRow(
                Key(key.api_app_id, key.channel, key.trigger, part),
                place.team_id,
                "report",
                place.request_id,
                user_id=user_id,
                asked_by=place.asked_by,
                thread_ts=place.thread_ts,
                body=post,
            )
            for part, post in enumerate(posts)
        ]

    async def _read(self, prefix: str, sha256: str) -> tuple[VoiceReport, ReportManifest] | None:
        storage = self.desk.storage
        try:
            manifest = await storage.get_model(ReportManifest, manifest_key(prefix), sha256=sha256)
            data = await storage.get_bytes(
                f"{prefix}/{REPORT_FILE}", sha256=manifest.file(REPORT_FILE).sha256
            )
            return VoiceReport.model_validate_json(data), manifest
        except (ObjectMissing, ArtifactCorrupt, ValueError, KeyError) as error:
            log.error("report not readable", extra={"prefix": prefix, "error": type(error).__name__})  # noqa: TRY400
            return None
