"""Look through a stream without taking anything, and delete single messages for good."""

import json
from collections.abc import AsyncGenerator
from typing import Any, Final, cast

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

GONE: Final = frozenset((10043, 10057))  # JetStream: that message is not there (any more)
LEDGER: Final = "persona."  # who said what, and what was purged: ids only, kept on purpose


async def messages(jetstream: JetStreamContext, stream: str) -> AsyncGenerator[RawStreamMsg]:
    """Every message that is there now, oldest first. Raises nats errors."""
    state = (await jetstream.stream_info(stream)).state
    sequence = max(1, state.first_seq)
    while sequence <= state.last_seq:
        try:
            message = await jetstream.get_msg(stream, seq=sequence, subject=">", next=True)
        except nats.js.errors.NotFoundError:
            return
        yield message
        sequence = (message.seq or sequence) + 1


async def erase(jetstream: JetStreamContext, stream: str, message: RawStreamMsg) -> None:
    """Delete one message and overwrite its bytes on disk; one that is gone is fine."""
    try:
        await jetstream.delete_msg(stream, message.seq or 0)
    except nats.js.errors.APIError as error:
        if error.err_code not in GONE:
            raise


def is_about(message: RawStreamMsg, team_id: str, user_id: str) -> bool:
    """Is it about that person: theirs, or of their persona? Mentioned in somebody's text they need not be.

    What is no JSON counts where both ids stand in it. The ledger's own messages hold ids only and stay.
    """
    data = message.data or b""
    if (message.subject or "").removeprefix("dead.").startswith(LEDGER) or user_id.encode() not in data:
        return False
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return team_id.encode() in data
    return _has(body, team_id) and _has(body, user_id)


def _has(value: Any, wanted: str) -> bool:
    """Does a field hold just that?"""
    left: list[Any] = [value]
    while left:
        each = left.pop()
        if each == wanted:
            return True
        if isinstance(each, dict):
            left.extend(cast("dict[str, Any]", each).values())
        elif isinstance(each, list):
            left.extend(cast("list[Any]", each))
    return False
