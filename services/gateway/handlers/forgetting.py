"""*Forget*: pressed by the person themselves or an admin, asked of Slack once more; the rest is the purge's."""

import logging
import re
from dataclasses import dataclass
from typing import Final

from proto.slack import Action, Interaction
from services.gateway.core.forgetting import FORGET, KEEP, render_begun, render_kept
from services.gateway.core.reply import Post
from services.gateway.core.rights import check_manage
from services.gateway.core.routing import Installed
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.withdrawing import Consents

log = logging.getLogger(__name__)

ACTIONS: Final = frozenset((FORGET, KEEP))
_USER: Final = re.compile(r"[UW][A-Z0-9]{1,30}")


@dataclass(frozen=True)
class Forgetting:
    """The buttons of the last question."""

    desk: Desk
    consents: Consents

    async def pressed(self, pressed: Interaction, action: Action, installed: Installed) -> Post | None:
        """Begin, or leave it; returns what the question becomes. None: it is none of ours. Raises NotAllowed."""
        user_id = action.value or ""
        if not _USER.fullmatch(user_id):
            return None
        if action.action_id == KEEP:
            return render_kept()
        check_manage(await self.desk.at(installed).fetch_asker(pressed.user.id), user_id)
        is_own = pressed.user.id == user_id
        await self.consents.record(
            installed,
            user_id,
            granted=False,
            source_key=f"forget/{pressed.api_app_id}/{pressed.trigger_id}",
            forget=True,
            told_by=None if is_own else pressed.user.id,
        )
        log.info(
            "to be forgotten", extra={"team_id": installed.bot.team_id, "user_id": user_id, "own": is_own}
        )
        return render_begun(user_id, is_own=is_own)
