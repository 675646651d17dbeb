"""Heaps of text: the person's own messages, and other people's as they stand in the context of the samples."""

import re
from collections.abc import Iterable
from typing import Final

from proto.conversation import APP_SPEAKER, Sample, split_parts

_SPEAKER: Final = re.compile(r"([^:\n]{1,80}): (.*)", re.DOTALL)
_LINK: Final = re.compile(r"<?\bhttps?://\S{1,2000}")
_CODE: Final = re.compile(r"```.*?(?:```|$)|`[^`\n]{0,500}`", re.DOTALL)
_QUOTED: Final = re.compile(r"(?m)^\s*(?:&gt;|>).*$|\"[^\"\n]{12,2000}\"|“[^”\n]{12,2000}”|«[^»\n]{12,2000}»")


def own_messages(samples: Iterable[Sample]) -> list[str]:
    """What the person wrote, message by message."""
    return [part for sample in samples for part in split_parts(sample.response)]


def others_messages(samples: Iterable[Sample]) -> dict[str, list[str]]:
    """What others wrote, by their name. One message stands in the context of several samples, and is taken once."""
    found: dict[str, dict[str, None]] = {}
    for sample in samples:
        for turn in sample.turns:
            if turn.role != "user":
                continue
            speaker = ""
            for line in turn.content.split("\n"):
                named = _SPEAKER.fullmatch(line)
                if named:
                    speaker, text = named[1], named[2].strip()
                else:
                    text = line.strip()  # a message of several lines goes on
                if speaker and speaker != APP_SPEAKER and text:
                    found.setdefault(speaker, {})[text] = None
    return {speaker: list(texts) for speaker, texts in found.items()}


def without_quotes(text: str) -> str:
    """Only the writer's own words: no links, no code, no quoted lines or sentences."""
    return _QUOTED.sub(" ", _LINK.sub(" ", _CODE.sub(" ", text)))
