"""Debates: begun by a command, looked after by whichever replica has time, stopped by anybody."""

import logging
from dataclasses import dataclass

from doppel.slack.client import SlackRefused
from proto.body import derived_id
from proto.errors import AdapterMissing, NoConsent
from proto.generate import GenerateRequest
from proto.slack import EventCallback, Interaction, ReactionAdded
from services.gateway.core.debate import (
    RAISED_HANDS,
    STOP,
    Advance,
    Debate,
    End,
    Reason,
    Speak,
    Wait,
    next_step,
    render_end,
    render_root,
    turns_of_debate,
)
from services.gateway.core.outbox import Key, NewRow, OutboxRow
from services.gateway.core.routing import Answer, Installed
from services.gateway.core.thread import bounded, people_in
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.people import fetch_names
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.thinking import Thinker
from services.gateway.repository import Debates

log = logging.getLogger(__name__)

WHOLE_THREAD = "99999999999.0"
STOPPED = "Stopped."
CAN_NOT_WRITE = "I can't write where you asked for a debate. Invite me there, and ask again."


@dataclass(frozen=True)
class Moderator:
    """Every step may be done twice, by two replicas at once: the rows are the same."""

    desk: Desk
    asker: Asker
    poster: Poster
    debates: Debates

    async def open(self, debate: Debate) -> bool:
        """Post what opens it. False: there is another one in that channel."""
        root = NewRow(
            debate.root,
            debate.team_id,
            "notice",
            debate.debate_id,
            body=render_root(debate, await self._names(debate)),
        )
        if not await self.debates.open(debate, root):
            return False
        await self.poster.post_due(debate.debate_id)
        return True

    async def sweep(self) -> None:
        """Look after every debate that goes on."""
        while (debate := await self.debates.claim()) is not None:
            await self._step(debate)

    async def _step(self, debate: Debate) -> None:
        root = await self.desk.outbox.fetch(debate.debate_id)
        if root is not None and root.message_ts is not None:
            await self.debates.opened(debate, root.message_ts)
        match next_step(debate, root, await self.debates.parts(debate)):
            case Wait():
                return
            case Speak():
                known = await self.debates.fetch(debate.debate_id)
                if known is not None and known.topic is not None:
                    await self._speak(known)
            case Advance():
                await self.debates.advance(debate)
            case End(reason):
                await self.end(debate, reason)

    async def _speak(self, debate: Debate) -> None:
        """Ask the engine for this turn's answer; only where everybody in it agrees and can answer."""
        desk = self.desk
        installed = await desk.workspaces.fetch(debate.team_id)
        if installed is None:
            await self.end(debate, "failed")
            return
        try:
            for user_id in debate.speakers:
                await self.asker.adapter_of(debate.team_id, user_id)
        except (AdapterMissing, NoConsent):
            await self.end(debate, "withdrawn")
            return
        thread = await Thinker(desk).read(installed, debate.channel, debate.root_ts or "")
        limits = desk.limits
        said = bounded(
            thread, WHOLE_THREAD, messages=limits.thread_messages, characters=limits.thread_characters
        )
        people = [debate.asked_by, *people_in(said, debate.topic or "")]
        names = await fetch_names(desk.at(installed), people) | await self._names(debate)
        turns = turns_of_debate(
            debate, said, await self.debates.spoken(debate), bot=installed.bot, names=names
        )
        request = GenerateRequest(
            request_id=debate.turn_id, team_id=debate.team_id, user_id=debate.speaker, turns=turns
        )
        row = NewRow(
            debate.turn_key,
            debate.team_id,
            "reply",
            debate.turn_id,
            user_id=debate.speaker,
            asked_by=debate.asked_by,
            thread_ts=debate.root_ts,
            deadline_s=desk.clocks.answer_deadline_s,
        )
        await self.debates.speak(debate, row, request)
        await self.asker.dispatch(debate.team_id)

    # the end

    async def on_button(self, pressed: Interaction, installed: Installed) -> bool:
        """True: the button of a debate, and it is over."""
        if not any(action.action_id == STOP for action in pressed.actions):
            return False
        bot, channel, ts = installed.bot, pressed.channel_id, pressed.message_ts
        if channel is not None and ts is not None:  # where it was pressed counts, whatever it says
            debate = await self.debates.of_message(bot.team_id, channel, ts)
            if debate is not None:
                await self.end(debate, "stopped", by=pressed.user.id, event=f"press:{pressed.trigger_id}")
        return True

    async def on_reaction(self, added: ReactionAdded, installed: Installed) -> None:
        """A raised hand, on any message of a debate."""
        if added.reaction.partition("::")[0] not in RAISED_HANDS or added.user == installed.bot.user_id:
            return
        place = added.item
        if place.channel is None or place.ts is None:
            return
        debate = await self.debates.of_message(installed.bot.team_id, place.channel, place.ts)
        if debate is not None:
            await self.end(debate, "stopped", by=added.user, event=f"reaction:{place.ts}")

    async def on_not_me(self, answer: OutboxRow) -> None:
        """Its person takes one of the answers away: nothing follows it."""
        key = answer.key
        debate = await self.debates.of_message(answer.team_id, key.channel, answer.message_ts or "")
        if debate is not None:
            await self.end(debate, "withdrawn", event=f"not_me:{answer.request_id}")

    async def on_mention(self, decision: Answer, envelope: EventCallback, installed: Installed) -> bool:
        """Somebody says *stop* in a thread. True: of a debate, and it is over."""
        said, team_id = decision.utterance, installed.bot.team_id
        if said.thread_ts is None:
            return False
        event = f"mention:{said.ts}"
        debate = await self.debates.of_thread(team_id, said.channel, said.thread_ts, event)
        if debate is None:
            return False
        await self.end(debate, "stopped", by=decision.user_id, event=event)
        row = NewRow(
            Key(envelope.api_app_id, said.channel, said.ts),
            team_id,
            "notice",
            derived_id("generate", envelope.api_app_id, said.channel, said.ts),
            asked_by=decision.user_id,
            thread_ts=said.thread_ts,
            trigger_ts=said.ts,
            body=await self.desk.sentence(team_id, STOPPED),
        )
        await self.desk.outbox.receive(envelope.api_app_id, envelope.event_id, row)
        await self.poster.post_due(row.request_id)
        return True

    async def end(
        self, debate: Debate, reason: Reason, *, by: str | None = None, event: str | None = None
    ) -> None:
        """Nothing more is said, and the message that opened it says so. Once; done again it is the same."""
        known = await self.debates.fetch(debate.debate_id) or debate
        last: list[NewRow] = []
        if known.root_ts is not None:
            body = render_end(known, await self._names(known), reason, by)
            last.append(
                NewRow(
                    known.end,
                    known.team_id,
                    "notice",
                    derived_id("debate-end", str(known.debate_id)),
                    body={**body, "rewrites": known.root_ts},
                )
            )
        elif reason == "not_posted":
            last += await self._apology(known)
        for request_id in await self.debates.end(known, last, event):
            await self.desk.stop_answer(request_id, "debate_over")
        log.info("a debate is over", extra={"team_id": known.team_id, "reason": reason, "turn": known.turn})
        for row in last:
            await self.poster.post_due(row.request_id)

    async def _apology(self, debate: Debate) -> list[NewRow]:
        """Nobody sees why, but whoever asked."""
        installed = await self.desk.workspaces.fetch(debate.team_id)
        if installed is None:
            return []
        try:
            channel = await self.desk.at(installed).open_dm(debate.asked_by)
        except SlackRefused as error:
            log.warning("not told", extra={"user_id": debate.asked_by, "reason": error.reason})
            return []
        row = NewRow(
            Key(debate.api_app_id, channel, debate.end.trigger),
            debate.team_id,
            "notice",
            derived_id("debate-end", str(debate.debate_id)),
            body=await self.desk.sentence(debate.team_id, CAN_NOT_WRITE),
        )
        return [row]

    async def _names(self, debate: Debate) -> dict[str, str]:
        return await self.desk.names(debate.team_id, debate.speakers)
