"""What whoever pressed a button is told, and nobody else."""

from proto.slack import Interaction
from services.gateway.core.routing import Installed
from services.gateway.handlers.desk import Desk, make_notice
from services.gateway.handlers.posting import Poster


async def tell_presser(
    desk: Desk, poster: Poster, pressed: Interaction, installed: Installed, sentence: str
) -> None:
    """One plain sentence for each press."""
    row = await make_notice(
        desk,
        installed,
        channel=pressed.channel_id or "",
        trigger=f"{pressed.message_ts or ''}#{pressed.trigger_id}",
        asked_by=pressed.user.id,
        response_url=pressed.response_url,
        post=await desk.sentence(installed.bot.team_id, sentence),
    )
    await desk.outbox.receive(pressed.api_app_id, pressed.trigger_id, row)
    await poster.post_due(row.request_id)
