"""Out to Slack, each row once: claim, last check, post, sent. What is unknown is looked up before it is sent again.

The whole argument, with measurements: the shape of each statement is in `repository/outbox.py`.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter

from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown
from proto.errors import NoConsent
from services.gateway.adapters.slack import SlackWorkspace
from services.gateway.core.dispatch import MOST_REWRITES, MOST_SENDS, Resolution, resolve_unseen
from services.gateway.core.outbox import EPHEMERAL, TAKEN_AWAY, OutboxRow
from services.gateway.handlers.delivery import Carrier, now_s
from services.gateway.handlers.desk import Desk

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
AWAY_S: Final = 2.0
_NOT_HERE: Final = frozenset(
    ("not_in_channel", "channel_not_found", "is_archived", "restricted_action", "no_permission")
)
_NO_PLACE: Final = _NOT_HERE | {
    "thread_not_found",
    "cannot_reply_to_message",
    "restricted_action_thread_locked",
}
NO_PICTURE: Final = (
    "The picture can't be shown here ({}). `doppel report --save` writes it where doppel is installed."
)
NOT_TAKEN: Final = "Slack would not take my answer ({}). An admin can look that up."


class PostingMetrics:
    """What went out, and what became of the unknown."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.posts = Counter(
            "doppel_outbox_posts", "Messages by kind and outcome.", ["kind", "outcome"], registry=registry
        )
        self.repairs = Counter("doppel_outbox_repairs", "Second copies taken away.", registry=registry)


@dataclass(frozen=True)
class Poster:
    """Owns every message that goes out."""

    desk: Desk
    metrics: PostingMetrics

    @property
    def carrier(self) -> Carrier:
        """How a row reaches Slack."""
        return Carrier(self.desk)

    async def post_due(self, request_id: Any = None) -> bool:
        """Take one message that is due and post it. False: nothing is due."""
        claimed_at = now_s()  # before the claim: a sleep in between counts against us
        row = await self.desk.outbox.claim_due(self.desk.clocks.claim_ttl_s, request_id)
        if row is None:
            return False
        await self._send(row, claimed_at)
        return True

    async def sweep(self) -> None:
        """Post what is due, resolve what is unknown, repair what may be double."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._post_all())
        while await self._resolve_next():
            pass
        for row in await self.desk.outbox.claim_repairs():
            await self._repair_later(row)

    async def _post_all(self) -> None:
        while await self.post_due():
            pass

    async def _send(self, row: OutboxRow, claimed_at: float) -> None:
        installed = await self.desk.workspaces.fetch(row.team_id)
        if installed is None:
            await self._give_up(row, "not_installed")
            return
        is_imitation = row.kind in ("reply", "report") and row.user_id
        if is_imitation and row.user_id and not await self._may_imitate(row, row.user_id):
            return
        if now_s() > claimed_at + self.desk.clocks.claim_ttl_s / 2:
            return  # too slow to be sure that it is still ours: it is looked up first
        slack = self.desk.at(installed)
        try:
            ts = await self.carrier.deliver(slack, row)
        except SlackRefused as error:
            await self._refused(slack, row, error)
        except SlackAway as error:  # definitely not out
            self._count(row, "later")
            await self.desk.outbox.put_back(row, AWAY_S if error.delay_s is None else error.delay_s)
        except SlackUnknown:
            self._count(row, "unknown")
            log.warning("outcome unknown", extra=_ids(row))
        else:
            await self._sent(slack, row, ts)

    async def _may_imitate(self, row: OutboxRow, user_id: str) -> bool:
        """Consent is asked for once more, right before the words go out."""
        if await self.desk.personas.has_consent(row.team_id, user_id):
            return True
        if row.key.part == 0 and row.kind == "reply":
            sentence = await self.desk.sentence(row.team_id, str(NoConsent(user_id)))
            await self.desk.outbox.replace(row, sentence)
        else:
            await self._give_up(row, "no_consent")
        return False

    async def _sent(self, slack: SlackWorkspace, row: OutboxRow, ts: str) -> None:
        """Write down that it is out. The first ts that was written down stays; a later copy goes."""
        may_be_double = row.attempt > 1 and row.rewrites is None
        again_s = self.desk.clocks.settle_s if may_be_double else None
        winner = await self.desk.outbox.sent(row, ts, repair_after_s=again_s)
        self._count(row, "sent")
        if winner != ts and ts not in (EPHEMERAL, TAKEN_AWAY):
            await self._take_away(slack, row, ts)

    async def _refused(self, slack: SlackWorkspace, row: OutboxRow, error: SlackRefused) -> None:
        if error.token_is_dead:
            log.error("the workspace's token is dead", extra=_ids(row) | {"reason": error.reason})
            await self.desk.workspaces.mark_dead(row.team_id, error.reason)
        elif (
            (row.kind in ("notice", "progress") or row.is_ephemeral)
            and row.asked_by
            and self._may_move(row, error)
        ):
            await self._say_by_dm(slack, row, row.asked_by, error.reason)
            return
        elif row.kind == "reply" and set(row.body or {}) != {"text"} and error.reason not in _NO_PLACE:
            log.error("an answer was refused", extra=_ids(row) | {"reason": error.reason})
            sentence = await self.desk.sentence(row.team_id, NOT_TAKEN.format(error.reason))
            await self.desk.outbox.replace(row, sentence)
            return
        elif row.picture is not None and error.reason not in _NO_PLACE:
            log.error("a picture was refused", extra=_ids(row) | {"reason": error.reason})
            sentence = await self.desk.sentence(row.team_id, NO_PICTURE.format(error.reason))
            await self.desk.outbox.replace(row, sentence)
            return
        await self._give_up(row, error.reason)

    async def _say_by_dm(self, slack: SlackWorkspace, row: OutboxRow, user_id: str, reason: str) -> None:
        """Say it to whoever asked. Refused there too: given up."""
        try:
            channel = await slack.open_dm(user_id)
        except SlackRefused as error:
            await self._give_up(row, error.reason)
        except (SlackAway, SlackUnknown):
            await self.desk.outbox.put_back(row, AWAY_S)
        else:
            if channel == row.key.channel and not row.is_ephemeral:
                await self._give_up(row, reason)
                return
            await self.desk.outbox.move(row, channel, row.body or {})

    @staticmethod
    def _may_move(row: OutboxRow, error: SlackRefused) -> bool:
        """What can't be said there is said by DM instead."""
        return row.is_ephemeral or error.reason in _NOT_HERE

    async def _give_up(self, row: OutboxRow, reason: str) -> None:
        self._count(row, "failed")
        log.error("not posted", extra=_ids(row) | {"reason": reason})
        await self.desk.outbox.failed(row, reason)

    async def _resolve_next(self) -> bool:
        """Take one row of which nobody knows whether it is out, and find out. False: there is none."""
        claimed_at = now_s()
        row = await self.desk.outbox.claim_unresolved(self.desk.clocks.claim_ttl_s)
        if row is None:
            return False
        installed = await self.desk.workspaces.fetch(row.team_id)
        if installed is None:
            await self._give_up(row, "not_installed")
            return True
        if row.may_be_redone:
            await self._do_again(row, claimed_at)
            return True
        slack = self.desk.at(installed)
        try:
            found = await self.carrier.look(slack, row)
        except SlackRefused as error:  # nobody can look there, so nobody may send again
            await self._give_up(row, error.reason)
        except (SlackAway, SlackUnknown):
            log.warning("can't look yet", extra=_ids(row))
        else:
            await self._resolve(slack, row, found, claimed_at)
        return True

    async def _resolve(
        self, slack: SlackWorkspace, row: OutboxRow, found: list[str], claimed_at: float
    ) -> None:
        if found:
            await self._sent(slack, row, row.file_id or found[0])
            for ts in found[1:]:
                await self._take_away(slack, row, ts)
            return
        match resolve_unseen(row, settle_s=self.desk.clocks.settle_s):
            case Resolution.SEND_AGAIN:
                if await self.desk.outbox.resend(row):
                    log.warning("sent again", extra=_ids(row))
                    await self._send(replace(row, attempt=row.attempt + 1), claimed_at)
            case Resolution.GIVE_UP:
                await self._give_up(row, "never_seen")
            case Resolution.LOOK_LATER if row.attempt >= MOST_SENDS:
                log.error("sent thrice and never seen", extra=_ids(row))
            case Resolution.LOOK_LATER:
                pass

    async def _do_again(self, row: OutboxRow, claimed_at: float) -> None:
        """What needs no look: a message rewritten twice is the same, and words for one person leave no trace."""
        most = MOST_SENDS if row.is_ephemeral else MOST_REWRITES
        if row.attempt >= most:
            await self._give_up(row, "never_confirmed")
        elif await self.desk.outbox.resend(row):
            await self._send(replace(row, attempt=row.attempt + 1), claimed_at)

    async def _repair_later(self, row: OutboxRow) -> None:
        """Once more, a settle time after a message that was sent more than once: a late copy goes."""
        installed = await self.desk.workspaces.fetch(row.team_id)
        if installed is None or row.message_ts in (None, EPHEMERAL):
            return
        slack = self.desk.at(installed)
        try:
            found = await self.carrier.look(slack, row)
        except (SlackRefused, SlackAway, SlackUnknown) as error:
            log.warning("no second look", extra=_ids(row) | {"error": type(error).__name__})
            return
        kept = found[:1] if row.file_id else [row.message_ts]
        for ts in found:
            if ts not in kept:
                await self._take_away(slack, row, ts)

    async def _take_away(self, slack: SlackWorkspace, row: OutboxRow, ts: str) -> None:
        self.metrics.repairs.inc()
        try:
            await slack.delete(row.key.channel, ts)
        except (SlackRefused, SlackAway, SlackUnknown) as error:  # the second look finds it again
            log.warning("a second copy stays for now", extra=_ids(row) | {"error": type(error).__name__})

    def _count(self, row: OutboxRow, outcome: str) -> None:
        self.metrics.posts.labels(row.kind, outcome).inc()


def _ids(row: OutboxRow) -> dict[str, Any]:
    return {
        "request_id": str(row.request_id),
        "part": row.key.part,
        "kind": row.kind,
        "team_id": row.team_id,
        "attempt": row.attempt,
    }
