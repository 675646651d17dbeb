"""What is done with a delivery of Slack's, whichever way it came: publish it, and say what the person sees at once."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, cast

import nats.errors
import nats.js.errors
from prometheus_client import CollectorRegistry, Counter
from pydantic_core import PydanticSerializationError

from doppel.bus import Bus
from proto.slack import Interaction, SlackEvent, SlashCommand
from proto.subjects import SLACK_EVENT
from services.gateway.core import commands, intake, menu

log = logging.getLogger(__name__)

DOUBT_S: Final = 15.0  # after a delivery was not taken
PUBLISH_S: Final = 1.8  # Slack waits three seconds; the rest is the way
SORRY: Final = "I can't take that right now. Please try again in a minute."
_BUS_AWAY: Final = (TimeoutError, OSError, nats.errors.Error, nats.js.errors.Error)


class Reception:
    """Takes deliveries from the web and from sockets. Every method raises NotUnderstood for what is none of Slack's."""

    def __init__(
        self, bus: Bus, registry: CollectorRegistry, *, say: Callable[[SlackEvent, str], None]
    ) -> None:
        self._bus = bus
        self._say = say
        self._failed_at = float("-inf")
        self._deliveries = Counter(
            "doppel_slack_deliveries", "Deliveries of Slack's.", ["kind", "status"], registry=registry
        )

    def count(self, kind: str, status: object) -> None:
        """One delivery, and how it ended."""
        self._deliveries.labels(kind, str(status)).inc()

    async def event(self, body: dict[str, Any]) -> bool:
        """An event. False: the bus does not take it, so Slack must send it again."""
        if body.get("type") == "app_rate_limited":
            log.warning("Slack sends fewer events", extra={"team_id": str(body.get("team_id"))[:32]})
            return True
        if body.get("type") not in ("event_callback", None):  # a tuple: what comes in may be anything
            raise intake.NotUnderstood("unknown type")
        return await self._publish(intake.event_of(body, datetime.now(UTC)))

    async def command(self, form: dict[str, str]) -> dict[str, Any]:
        """A slash command, never sent again by Slack; returns what only the asker sees."""
        event = intake.command_of(form, datetime.now(UTC))
        published = await self._publish(event)
        command = commands.parse(cast("SlashCommand", event.payload).text)
        text = commands.first_answer(command, event.payload.team_id) if published else SORRY
        return {"response_type": "ephemeral", "text": text}

    async def interaction(self, payload: dict[str, Any]) -> dict[str, Any] | None:
        """A pressed button or a form, never sent again either; returns what Slack is to do at once, if anything."""
        event = intake.interaction_of(payload, datetime.now(UTC))
        pressed = cast("Interaction", event.payload)
        if errors := menu.errors_of(pressed):
            return {"response_action": "errors", "errors": errors}
        if await self._publish(event):
            return None
        if menu.is_menu(pressed.view):  # the form stays open, with what was written in it
            return {"response_action": "errors", "errors": {menu.WHAT: SORRY}}
        self._say(event, SORRY)
        return None

    async def _publish(self, event: SlackEvent) -> bool:
        """One try. True once JetStream has it. Raises NotUnderstood for what no JSON can say."""
        if not self._bus.client.is_connected:
            return self._failed()
        try:
            await self._bus.publish(SLACK_EVENT, event, key=event.key, timeout_s=PUBLISH_S, tries=1)
        except PydanticSerializationError as error:  # half a surrogate pair, or nested without end
            raise intake.NotUnderstood("no text") from error
        except _BUS_AWAY as error:
            log.warning("not taken", extra={"key": event.key, "error": type(error).__name__})
            return self._failed()
        return True

    def _failed(self) -> bool:
        self._failed_at = asyncio.get_running_loop().time()
        return False

    async def takes(self) -> bool:
        """Would a delivery be taken now? Asked of JetStream, which may be away while NATS is there."""
        if asyncio.get_running_loop().time() - self._failed_at < DOUBT_S or not self._bus.client.is_connected:
            return False
        try:
            async with asyncio.timeout(PUBLISH_S):
                await self._bus.jetstream.stream_info(SLACK_EVENT.stream or "")
        except _BUS_AWAY:
            return False
        return True
