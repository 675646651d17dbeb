"""A text file (JSONL or CSV), in any order and of any size, as the outcomes of a history. Blocking.

Two passes: the rows go into SQLite on disk, which brings them back by channel and time. Memory holds one row, and the
names of authors and channels; labels of threads stay on disk.
"""

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, cast

from doppel.lines import LINE_CHARACTERS, Lines, LineTooLong
from proto.conversation import Message, Person, WordsOf
from proto.errors import TextInvalid
from services.scraper.adapters.building import Built, build_from_outcomes
from services.scraper.adapters.work import Work
from services.scraper.core.normalise import Dropped, Outcome, Said
from services.scraper.core.source import TsWindow
from services.scraper.core.text_rows import (
    Row,
    RowInvalid,
    check_fields,
    choose_delimiter,
    column_names,
    derive_channel_id,
    display_name,
    parse_row,
)
from services.scraper.core.timestamps import ts_of_micros

BATCH: Final = 2_000
MOST_NAMES: Final = 200_000  # authors, or channels: they are held in memory
_CACHE_KIB: Final = 16 * 1024
_TABLES: Final = """
create table said (channel integer, micros integer, number integer, author text, bot integer, thread text, words text,
    primary key (channel, micros, number)) without rowid;
create table root (channel integer, label text, micros integer, primary key (channel, label)) without rowid;
"""
csv.field_size_limit(LINE_CHARACTERS)


@dataclass
class _Author:
    """What a directory says of one person: the name of their newest message."""

    micros: int
    name: str = field(repr=False)
    is_bot: bool


class TextFile:
    """One text file, read. Everything that its constructor raises about the content is `TextInvalid`."""

    def __init__(self, path: Path, folder: Path, work: Work) -> None:
        self._work = work
        self._authors: dict[str, _Author] = {}
        self._channels: dict[str, int] = {}
        self._empty: Counter[str] = Counter()
        self._database = sqlite3.connect(
            folder / "text.sqlite", check_same_thread=False, isolation_level=None
        )
        try:
            for pragma in ("journal_mode = off", "synchronous = off", f"cache_size = -{_CACHE_KIB}"):
                self._database.execute(f"pragma {pragma}")
            self._database.executescript(_TABLES)
            self._take_in(path)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close; the file is its folder's to remove."""
        self._database.close()

    @property
    def people(self) -> list[Person]:
        """Everybody who wrote, by id."""
        return [
            Person(user_id=user_id, display_name=display_name(author.name), is_bot=author.is_bot)
            for user_id, author in sorted(self._authors.items())
        ]

    @property
    def channels(self) -> dict[str, str]:
        """Channel id → name."""
        return {derive_channel_id(name): name for name in self._channels}

    def outcomes(self, window: TsWindow) -> Iterator[tuple[str, Outcome]]:
        """``(channel id, outcome)`` by channel and time. No two messages of a channel share a timestamp."""
        for name, number in self._channels.items():
            channel_id, last = derive_channel_id(name), -1
            for _ in range(self._empty[name]):
                yield channel_id, Dropped("no_words")
            for micros, author, bot, thread, words in self._database.execute(
                "select micros, author, bot, thread, words from said where channel = ? order by micros, number",
                (number,),
            ):
                last = max(micros, last + 1)
                root = self._root(number, thread, last) if thread else None
                ts = ts_of_micros(last)
                if not window.holds(ts):
                    yield channel_id, Dropped("outside_window")
                    continue
                message = Message(
                    channel_id=channel_id,
                    ts=ts,
                    thread_ts=None if root is None else ts_of_micros(root),
                    user_id=None if bot else author,
                    words_of=WordsOf.APP if bot else WordsOf.PERSON if author else WordsOf.UNKNOWN,
                    text=words,
                )
                yield channel_id, Said(message)

    def _root(self, channel: int, label: str, micros: int) -> int:
        """When that thread began: with its first message."""
        self._database.execute("insert or ignore into root values (?, ?, ?)", (channel, label, micros))
        found = self._database.execute(
            "select micros from root where channel = ? and label = ?", (channel, label)
        ).fetchone()
        return int(found[0])

    def _take_in(self, path: Path) -> None:
        batch: list[tuple[int, int, int, str | None, bool, str, str]] = []
        read = 0
        for number, row in _rows(path):
            self._work.advance()
            read = number
            channel = self._channels.setdefault(row.channel, len(self._channels))
            self._meet(row)
            if max(len(self._channels), len(self._authors)) > MOST_NAMES:
                raise TextInvalid(f"it names more than {MOST_NAMES} authors or channels")
            if not row.text.strip():
                self._empty[row.channel] += 1
                continue
            batch.append((channel, row.micros, number, row.user_id, _is_bot(row), row.thread, row.text))
            if len(batch) >= BATCH:
                self._store(batch)
        self._store(batch)
        if not read:
            raise TextInvalid("it holds no message")

    def _meet(self, row: Row) -> None:
        if (user_id := row.user_id) is None:
            return
        known = self._authors.get(user_id)
        is_bot = _is_bot(row) or (known is not None and known.is_bot)
        if known is None or (row.micros, row.author) >= (known.micros, known.name):
            self._authors[user_id] = _Author(row.micros, row.author, is_bot)
        else:
            known.is_bot = is_bot

    def _store(self, batch: list[tuple[int, int, int, str | None, bool, str, str]]) -> None:
        self._database.execute("begin")
        self._database.executemany("insert into said values (?, ?, ?, ?, ?, ?, ?)", batch)
        self._database.execute("commit")
        batch.clear()


def build_from_text(path: Path, window: TsWindow, folder: Path, work: Work) -> Built:
    """Read a text file. Raises TextInvalid, Stopped."""
    with TextFile(path, folder, work) as text:
        work.enter("reading", total=work.step)
        return build_from_outcomes(text.outcomes(window), text.people, text.channels, folder, work)


def _is_bot(row: Row) -> bool:
    return row.is_bot or row.user_id == "USLACKBOT"


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    """``(line number, row)`` of a file, by its ending. Raises TextInvalid."""
    with Lines(path) as lines:
        try:
            yield from _csv_rows(lines) if path.suffix == ".csv" else _jsonl_rows(lines)
        except RowInvalid as error:
            raise TextInvalid(f"line {lines.number} {error}") from error
        except LineTooLong as error:
            raise TextInvalid(f"line {lines.number} is unreasonably long") from error
        except UnicodeError as error:
            raise TextInvalid(f"line {lines.first_undecodable()} is no UTF-8 text") from error


def _jsonl_rows(lines: Lines) -> Iterator[tuple[int, Row]]:
    for line in lines:
        if not line.strip():
            continue
        try:
            found: Any = json.loads(line, parse_float=str)
        except (ValueError, RecursionError) as error:
            raise RowInvalid("is no JSON object") from error
        if not isinstance(found, dict):
            raise RowInvalid("is no JSON object")
        fields = {key.lower(): value for key, value in cast("dict[str, Any]", found).items()}
        check_fields(list(fields))
        yield lines.number, parse_row(fields)


class _Record:
    """Lines for a reader of CSV, which holds a whole record: one that never ends is refused."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.characters += len(line)
        if self.characters > LINE_CHARACTERS:
            raise LineTooLong
        return line


def _csv_rows(lines: Lines) -> Iterator[tuple[int, Row]]:
    if not (header := lines.peek()):
        return
    record = _Record(lines)
    reader = csv.reader(record, delimiter=choose_delimiter(header), strict=True)
    try:
        columns = column_names(next(reader, []))
        for cells in reader:
            record.characters = 0
            if not any(cells):
                continue
            if len(cells) > len(columns) and any(cells[len(columns) :]):
                raise RowInvalid("has more fields than the header (is a quote missing?)")
            yield lines.number, parse_row(dict(zip(columns, cells, strict=False)))
    except csv.Error as error:
        raise RowInvalid("is no valid CSV (is a quote missing?)") from error
