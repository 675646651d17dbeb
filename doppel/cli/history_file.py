"""Is a file worth uploading? A look at its beginning (a ZIP's directory) spares an hour of waiting for a refusal."""

import json
import zipfile
from pathlib import Path
from typing import Any, Final, cast

from doppel.lines import Lines, LineTooLong
from proto.errors import ExportInvalid, TextInvalid
from proto.scrape import TEXT_REQUIRED

KINDS: Final = {".zip": "export", ".jsonl": "text", ".csv": "text"}
_QUOTES: Final = " \"'\r\n"


def check_history(file: Path) -> str:
    """``export`` or ``text``. Blocking. Raises ExportInvalid, TextInvalid."""
    suffix = file.suffix.lower()
    if suffix == ".zip":
        _check_zip(file)
    else:
        _check_text(file, is_csv=suffix == ".csv")
    return KINDS[suffix]


def _check_zip(file: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, EOFError) as error:
        raise ExportInvalid("it is no complete ZIP file") from error
    if not any(name.replace("\\", "/").rpartition("/")[2] == "channels.json" for name in names):
        raise ExportInvalid("it has no channels.json, so it is no Slack export")


def _check_text(file: Path, *, is_csv: bool) -> None:
    with Lines(file) as lines:
        try:
            line = next((line for line in lines if line.strip()), None)
        except LineTooLong as error:
            raise TextInvalid("line 1 is unreasonably long") from error
        except UnicodeError as error:
            raise TextInvalid(f"line {lines.first_undecodable()} is no UTF-8 text") from error
        number = lines.number
    if line is None:
        raise TextInvalid("it holds no message")
    missing = [
        name for name in TEXT_REQUIRED if name not in (_columns(line) if is_csv else _keys(line, number))
    ]
    if missing:
        raise TextInvalid(f"line {number} lacks {' and '.join(f'`{name}`' for name in missing)}")


def _columns(header: str) -> set[str]:
    cells = header.replace(";", ",").replace("\t", ",").split(",")
    return {cell.strip(_QUOTES).lower() for cell in cells}


def _keys(line: str, number: int) -> set[str]:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TextInvalid(f"line {number} is no JSON object") from error
    if not isinstance(found, dict):
        raise TextInvalid(f"line {number} is no JSON object")
    return {key.lower() for key in cast("dict[str, Any]", found)}
