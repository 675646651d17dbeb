"""Who answers where nobody is named."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Chosen:
    """What somebody chose for a channel or a workspace. No user: the bot itself."""

    user_id: str | None
    channel: str = ""  # empty: the whole workspace


def select_voice(
    active: Sequence[str], chosen: Sequence[Chosen], *, channel: str, named: str | None
) -> str | None:
    """The persona named, else the channel's, else the workspace's, else the one trained last. None: the bot itself.

    `active`: who can answer, the newest first. One who was chosen and can't is not replaced by another person.
    """
    by_place = {each.channel: each for each in chosen}
    choice = by_place.get(channel) or by_place.get("")
    if named is None and choice is None:
        return active[0] if active else None
    wanted = named or (choice.user_id if choice else None)
    return wanted if wanted in active else None
