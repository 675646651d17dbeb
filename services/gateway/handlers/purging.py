"""Forget somebody, in rounds: our own rows and streams here, all else by ``persona.purge``; the row remembers."""

import logging
from dataclasses import dataclass
from typing import Any, Final

from nats.js import JetStreamContext
from pydantic import ValidationError

from doppel.bus import Delivery, names, scan
from doppel.slack.client import SlackRefused
from proto.errors import NoConsent
from proto.generate import GenerateRequest, GenerateResult
from proto.persona import PersonaPurge, PersonaPurged
from proto.subjects import GENERATE_REQUEST, GENERATE_RESULT, PERSONA_PURGE, PURGED
from services.gateway.core.consent import render_asker_told
from services.gateway.core.forgetting import Purge, is_over, pause_s
from services.gateway.core.reply import with_mentions
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.training import TrainingFlow
from services.gateway.repository.purges import Purges, Shared

log = logging.getLogger(__name__)

AGAIN_S: Final = 30.0  # a round whose replica died is done again


@dataclass(frozen=True)
class Purging:
    """Each step may be repeated: ids are derived, what is gone is gone."""

    desk: Desk
    flow: TrainingFlow
    purges: Purges
    jetstream: JetStreamContext

    async def sweep(self) -> None:
        """Every round that is due. Raises what a round raises; its row stays."""
        while (purge := await self.purges.claim(AGAIN_S)) is not None:
            await self._round(purge)

    async def on_persona_purged(self, told: PersonaPurged, _: Delivery) -> None:
        """A service has done its part of a round."""
        log.info(
            "purged",
            extra={"purge_id": str(told.request_id), "service": told.service, "round": told.round}
            | {f"removed_{kind}": count for kind, count in told.removed.items()},
        )
        purge = await self.purges.answered(told)
        if purge is not None and is_over(purge):
            await self.purges.over(purge)

    async def _round(self, purge: Purge) -> None:
        """The others hear it first, since they take longest; then what is ours."""
        number = purge.round + 1
        await self._stop_trainings(purge)
        sentence = await self.desk.sentence(purge.team_id, str(NoConsent(purge.user_id)))
        waiting = await self.purges.silence(purge, sentence)
        for request_id in waiting.asked:
            await self.desk.stop_answer(request_id, NoConsent.code)
        request = PersonaPurge(
            request_id=purge.purge_id,
            round=number,
            team_id=purge.team_id,
            user_id=purge.user_id,
            requested_at=purge.requested_at,
        )
        await self.desk.bus.publish(PERSONA_PURGE, request, key=f"{purge.purge_id}/{number}")
        await self._take_from_slack(purge)
        removed = await self.purges.erase(purge)
        removed["messages"] = await self._erase_streams(purge)
        await self.purges.went_out(purge, number, pause_s(number))
        log.info("purge round", extra={"purge_id": str(purge.purge_id), "round": number, **_counted(removed)})

    async def _stop_trainings(self, purge: Purge) -> None:
        told = {"text": with_mentions(render_asker_told(purge.user_id))}
        for request_id in await self.purges.runs_under_way(purge):
            training = await self.desk.trainings.fetch(request_id)
            if training is not None:
                await self.flow.stop(training, told, reason=NoConsent.code)

    async def _take_from_slack(self, purge: Purge) -> None:
        """Reports show answers in their voice, and plots. What was answered in conversations stays theirs who asked."""
        shared = await self.purges.shared(purge)
        installed = await self.desk.workspaces.fetch(purge.team_id) if shared else None
        for each in shared:
            if installed is not None:
                slack = self.desk.at(installed)
                try:
                    if each.message_ts.startswith("F"):
                        await slack.delete_file(each.message_ts)
                    else:
                        await slack.delete(each.channel, each.message_ts)
                except SlackRefused as error:
                    log.warning("stays in Slack", extra=_place(each) | {"reason": error.reason})
            await self.purges.taken_away(each)

    async def _erase_streams(self, purge: Purge) -> int:
        """Outcomes, answers, dead letters and waiting questions of theirs; JetStream overwrites the bytes."""
        agrees = await self.desk.personas.has_consent(purge.team_id, purge.user_id)
        erased = 0
        for stream in PURGED:
            async for message in scan.messages(self.jetstream, stream):
                if agrees and (message.time is None or message.time > purge.requested_at):
                    continue
                if scan.is_about(message, purge.team_id, purge.user_id):
                    if stream == GENERATE_REQUEST.stream:
                        await self._answer(message.data or b"", purge)
                    await scan.erase(self.jetstream, stream, message)
                    erased += 1
        return erased

    async def _answer(self, data: bytes, purge: Purge) -> None:
        """Whoever waits for this question hears why there is no answer."""
        try:
            request = GenerateRequest.model_validate_json(data)
        except ValidationError:
            return  # nobody could have answered it
        if request.request_id is not None:
            result = GenerateResult(
                request_id=request.request_id,
                team_id=purge.team_id,
                user_id=purge.user_id,
                error=NoConsent(purge.user_id).info(),
            )
            await self.desk.bus.publish(
                GENERATE_RESULT, result, key=f"{request.request_id}/{names.ONE_OUTCOME}"
            )


def _counted(removed: dict[str, int]) -> dict[str, int]:
    return {f"removed_{what}": count for what, count in removed.items() if count}


def _place(each: Shared) -> dict[str, Any]:
    return {"request_id": str(each.request_id), "part": each.part}
