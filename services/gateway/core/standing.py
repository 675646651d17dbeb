"""Who can answer, who answers where, what is under way: for whoever asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.gateway.core.voice import Chosen, select_voice

SHOWN: Final = 30
NOBODY: Final = "Nobody can answer yet. /doppel train @ada asks Ada."
_STATES: Final = {"asking": "waits for their answer", "scraping": "history is read", "training": "trains"}


@dataclass(frozen=True)
class Standing:
    """One workspace's."""

    active: Sequence[tuple[str, str, datetime]]  # user id, name, since when; the newest first
    chosen: Sequence[Chosen]
    versions: Mapping[str, int]
    under_way: Sequence[tuple[str, str]]  # user id, state


def render_status(standing: Standing) -> str:
    """Who is trained, what is under way."""
    trained = [name for _, name, _ in standing.active][:SHOWN]
    lines = [f"Trained: {', '.join(trained)}." if trained else "Nobody is trained yet."]
    lines += [f"<@{user_id}>: {_STATES.get(state, state)}." for user_id, state in standing.under_way]
    return "\n".join(lines)


def render_places(standing: Standing) -> str:
    """The same for all channels together: who answers where."""
    if not standing.active:
        return NOBODY
    names, lines = _names(standing), _personas(standing, "since")
    everywhere = select_voice(list(names), standing.chosen, channel="", named=None)
    lines.append(f"Who names nobody hears {_named(everywhere, names)}.")
    lines += [
        f"In <#{each.channel}>: {_named(each.user_id, names)}."
        for each in standing.chosen
        if each.channel and (each.user_id is None or each.user_id in names)
    ]
    return "\n".join(lines)


def render_list(standing: Standing, channel: str) -> str:
    """Each persona with its age and versions, and who answers whoever names nobody."""
    if not standing.active:
        return NOBODY
    names, lines = _names(standing), _personas(standing, "answers since")
    ids = list(names)
    here = select_voice(ids, standing.chosen, channel=channel, named=None)
    everywhere = select_voice(ids, standing.chosen, channel="", named=None)
    heard = f"{_named(here, names)} in this channel, {_named(everywhere, names)} elsewhere"
    lines.append(f"Who names nobody hears {heard}.")
    return "\n".join(lines)


def _names(standing: Standing) -> dict[str, str]:
    return {user_id: name for user_id, name, _ in standing.active}


def _personas(standing: Standing, since_when: str) -> list[str]:
    lines = [
        f"• {name}: {since_when} {since:%-d %B %Y}, {_counted(standing.versions.get(user_id, 0))}"
        for user_id, name, since in standing.active[:SHOWN]
    ]
    if len(standing.active) > SHOWN:
        lines.append(f"… and {len(standing.active) - SHOWN} more.")
    return lines


def _named(user_id: str | None, names: Mapping[str, str]) -> str:
    return "me" if user_id is None else names[user_id]


def _counted(versions: int) -> str:
    return "1 version" if versions == 1 else f"{versions} versions"
