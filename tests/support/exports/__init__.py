"""Whole Slack exports, made up with every oddity that real ones have, and beside each the truth about it.

The truth is worked out from the same story that the export is written from, never by reading the export: who said
what where, what nobody said, what is private, who may be a persona.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from hypothesis import strategies as st

from tests.support.exports.messages import JUNK, KINDS
from tests.support.exports.people import TEAM, User, make_users, users_json
from tests.support.exports.story import NUMBER, Room, Truth
from tests.support.exports.words import Names
from tests.support.exports.zipping import ENCODINGS, Wrapping, make_wrapping, write_zip

_NUMBER: Final = re.compile(rf'"{NUMBER}([0-9.]+)"')
FOLDERS: Final = [
    "general",
    "random",
    "größer-café",
    "日本",
    "c0looks-like-an-id",
    "C0SECOND",
    "a.b_c-d",
    "é",
]


@dataclass(frozen=True)
class Export:
    """The files of an export, how they are zipped, and what must become of them."""

    files: list[tuple[str, bytes]]
    wrapping: Wrapping
    truth: Truth
    team_id: str
    made_by: str

    def write(self, path: Path, order: int) -> Path:
        """Zip it in some order."""
        write_zip(path, self.files, self.wrapping, Random(order))
        return path

    def __repr__(self) -> str:
        """What hypothesis prints of a failing example: how to make it again."""
        return self.made_by

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.made_by)


def exports(max_size: int = 16) -> st.SearchStrategy[Export]:
    """Any export, small enough to be read in milliseconds; a failing one shrinks in size.

    Everything else follows from a seed: what is wrong with a corpus is said in sentences, so that it needs no smaller
    example, and an export is made ten times as fast as from single draws.
    """
    return st.builds(make_export, st.integers(0, 2**32), st.integers(0, max_size))


def make_export(seed: int, size: int) -> Export:
    """One export, the same each time. `size`: at most about how many messages a channel has."""
    rng = Random(seed)
    truth = Truth()
    users = make_users(rng)
    truth.personas = {user.user_id: user.persona for user in users}
    channels, shared = _channels(rng)
    names = Names(
        {user.user_id: user.name for user in users if user.row is not None},
        {row["id"]: row["name"] for row in channels if row["id"] not in shared},
    )
    folders: dict[str, list[Any]] = {}
    for name in dict.fromkeys(row["name"] for row in channels):
        ids = frozenset(row["id"] for row in channels if row["name"] == name)
        room = Room(ids, users, names, truth, rng)
        room.second += len(folders) * 100_000_000 if ids & shared else 0
        for _ in range(rng.randrange(size + 1)):
            rng.choice(KINDS)(room)
        folders[name] = room.rows
    files = _day_files(rng, folders)
    files += _private(rng, users, names, truth, channels)
    people = "org_users.json" if rng.random() < 0.2 else "users.json"
    rows: list[Any] = [*channels, *(rng.sample(JUNK[:6], 2) if rng.random() < 0.3 else [])]
    files += [(people, _encode(rng, users_json(rng, users))), ("channels.json", _encode(rng, rows))]
    if rng.random() < 0.5:
        noise = _encode(rng, [{"service_id": 1, "user_id": "U00", "text": _nobodys(rng, truth, "a log")}])
        files += [
            ("integration_logs.json", noise),
            ("canvases.json", noise),
            ("lists.json", b"not even JSON"),
        ]
    team_id = TEAM if rng.random() < 0.8 else "T0IMPORTED"
    if any(user.persona is None or user.persona is False for user in users):
        team_id = TEAM if sum(_team(user) == TEAM for user in users) <= len(users) // 2 else team_id
    return Export(files, make_wrapping(rng), truth, team_id, f"make_export({seed}, {size})")


def _team(user: User) -> Any:
    return user.row.get("team_id") if user.row else None


def _channels(rng: Random) -> tuple[list[dict[str, Any]], set[str]]:
    """Public channels; the ids of those that share a folder or an id with another."""
    rows: list[dict[str, Any]] = [
        {
            "id": f"C0PUB{number}",
            "name": name,
            "created": 1,
            "creator": None,
            "is_archived": rng.random() < 0.2,
        }
        for number, name in enumerate(rng.sample(FOLDERS, rng.choice((1, 1, 2, 3))))
    ]
    for row in rows:
        row |= rng.choice(
            ({}, {"members": ["U00"], "pins": None, "previous_names": ["old"]}, {"is_private": False})
        )
    shared: set[str] = set()
    first = rows[0]
    match rng.randrange(8):
        case 0:  # an archived channel left its name to a new one
            rows.append({"id": "C0TWIN", "name": first["name"], "is_archived": not first["is_archived"]})
            shared = {first["id"], "C0TWIN"}
        case 1:  # one conversation under two names
            rows.append({"id": first["id"], "name": f"ext-{first['name']}", "is_ext_shared": True})
            shared = {first["id"]}
        case 2:
            rows.append({"id": "C0CASE", "name": first["name"].upper()})
            if rows[-1]["name"] == first["name"]:
                shared = {first["id"], "C0CASE"}
        case 3:  # its name is another's id
            rows.append({"id": "C0NAMED", "name": first["id"]})
        case _:
            pass
    rng.shuffle(rows)
    return rows, shared


def _day_files(rng: Random, folders: dict[str, list[Any]]) -> list[tuple[str, bytes]]:
    """Messages into days, at random: the day in a name proves nothing; some lie in two days."""
    files: list[tuple[str, bytes]] = []
    for folder, rows in folders.items():
        days: dict[str, list[Any]] = {}
        for row in rows:
            for copy in _copies(rng, row):
                day = f"20{rng.choice((14, 24))}-{rng.choice((1, 2, 12)):02d}-{rng.choice((1, 31)):02d}"
                days.setdefault(f"{day}#{rng.randrange(3)}", []).append(copy)
        for key, inside in days.items():
            rng.shuffle(inside)
            files.append((f"{folder}/{key.partition('#')[0]}.json", _encode(rng, inside)))
        if not days and rng.random() < 0.5:
            files.append((f"{folder}/2024-01-01.json", b"[]"))
    return files


def _copies(rng: Random, row: Any) -> list[Any]:
    if rng.random() > 0.15:
        return [row]
    copy = row
    if isinstance(row, dict) and "thread_ts" in row and rng.random() < 0.5:
        copy = {key: value for key, value in row.items() if key != "thread_ts"}
    return [row, copy]


def _private(
    rng: Random, users: list[User], names: Names, truth: Truth, channels: list[dict[str, Any]]
) -> list[tuple[str, bytes]]:
    """Conversations that nobody may read, and folders that belong to no channel."""
    taken = {row["name"] for row in channels}
    lists: dict[str, list[dict[str, Any]]] = {
        "groups.json": [
            {"id": "G0BOARD", "name": "board", "is_private": True},
            {"id": "C0NEWPRIV", "name": "hr"},
        ],
        "dms.json": [{"id": "D0DIRECT", "members": ["U0MEMBER0", "W0MEMBER1"]}],
        "mpims.json": [{"id": "G0MPIM", "name": "mpdm-a--b--c-1"}],
    }
    folders = [
        "board",
        "hr",
        "D0DIRECT",
        "mpdm-a--b--c-1",
        "FC:F0X:canvas",
        "not-in-any-list",
        "G0BOARD",
        "sub/x",
    ]
    if rng.random() < 0.3:
        channels.append({"id": "C0LISTED", "name": "listed-but-private", "is_private": True})
        folders.append("listed-but-private")
    if rng.random() < 0.2:
        channels.append({"id": "C0BOARD", "name": "board"})  # an archived one of the same name
    files: list[tuple[str, bytes]] = []
    for folder in rng.sample(folders, rng.randrange(len(folders))):
        if folder in taken:
            continue
        room = Room(frozenset(), users, names, Truth(), rng)
        row = {"type": "message", "user": "U0MEMBER0", "ts": room.next_ts()}
        row["text"] = _nobodys(rng, truth, f"private, in {folder}")
        files.append((f"{folder}/2024-01-01.json", _encode(rng, [row])))
    words = _encode(
        rng, [{"user": "U0MEMBER0", "ts": "1.000000", "text": _nobodys(rng, truth, "no day file")}]
    )
    name = channels[0]["name"]
    others = (f"{name}/canvas.json", f"{name}/sub/2024-01-01.json", "2024-01-01.json")
    files += [(each, words) for each in others if rng.random() < 0.2]
    return files + [(name, _encode(rng, rows)) for name, rows in lists.items() if files or rng.random() < 0.5]


def _nobodys(rng: Random, truth: Truth, why: str) -> str:
    return Room(frozenset(), [], Names({}, {}), truth, rng).marker(why)


def _encode(rng: Random, rows: list[Any]) -> bytes:
    """As JSON that Slack, an editor or a script writes. A lone surrogate can only be written escaped."""
    indent = rng.choice((None, None, 4, "\t"))
    separators = rng.choice((None, (",", ":"), (" ,\r\n", " : ")))
    text = json.dumps(rows, ensure_ascii=rng.random() < 0.5, indent=indent, separators=separators)
    text = _NUMBER.sub(r"\1", text) + rng.choice(("", "\n", " \r\n\t"))
    if rng.random() < 0.3:
        text = text.replace("/", "\\/")
    try:
        return text.encode(rng.choice(ENCODINGS))
    except UnicodeEncodeError:
        return _NUMBER.sub(r"\1", json.dumps(rows)).encode()
