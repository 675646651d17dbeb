"""An archive that is refused, and the sentence with which it is."""

from pathlib import Path
from typing import Any

import pytest

from proto.errors import ExportInvalid
from tests.support.exports.handmade import (
    SECRET,
    write,
)
from tests.support.exports.people import TEAM
from tests.unit.scraper.exports.reading import read

REMEDY = ". Export it again from Slack and import the ZIP as it came."
DAY = "eng/2024-01-01.json"


def refusal(path: Path) -> str:
    """The sentence with which it is refused. Fails where it is read, or ends in any other error."""
    with pytest.raises(ExportInvalid) as caught:
        read(path, TEAM)
    sentence = str(caught.value)
    assert sentence.startswith("That export can't be read: ")
    assert sentence.endswith(REMEDY)
    assert sentence.count(".") <= 4
    assert len(sentence) < 300
    assert sentence.isprintable()
    assert SECRET not in sentence
    return sentence.removeprefix("That export can't be read: ").removesuffix(REMEDY)


def zipped(tmp_path: Path, files: dict[str, Any]) -> Path:
    return write(tmp_path / "export.zip", files)
