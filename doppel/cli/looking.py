"""Look into every store for what is left of a person: tables, bucket, streams, and what each replica holds."""

import asyncio
import contextlib
import io
import re
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import uuid4

import nats.errors
from pydantic import ValidationError

from doppel.bus import Bus, scan
from doppel.cli.target import Target
from doppel.storage import Storage
from proto.artifacts import PEOPLE_FILE, persona_prefix, workspace_prefix
from proto.persona import PersonaHeld, PersonaLook
from proto.subjects import PERSONA_LOOK, STREAMS

SCHEMAS: Final = ("gateway", "scraper", "trainer", "inference")
LEDGER: Final = frozenset(("gateway.consents", "gateway.purges"))  # who said what, and what was purged
ANSWERS: Final = (
    "gateway.outbox"  # whose answer stands in a channel stays known, so that they can take it back
)
SENT: Final = "(kind = 'reply' and state = 'sent' and num_nonnulls(body, question, note, run_id) = 0)"
ERASED: Final = (
    "scraper.corpora",
    "without",
)  # names whose words were taken out: a trace of the purge, not of them
NOT_OURS: Final = frozenset(("ADVISORY",))  # the server's own notes, without bodies
ANSWER_S: Final = 10.0
OBJECT_BYTES: Final = 512 * 1024 * 1024
_COLUMNS: Final = """
    select c.table_schema || '.' || c.table_name as name, c.column_name, c.data_type
    from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = any($1) and t.table_type = 'BASE TABLE'
    order by 1, c.ordinal_position"""


@dataclass(frozen=True)
class Seen:
    """One place, and how many things of theirs are in it. `kept`: on purpose, whatever the number."""

    store: str
    place: str
    found: int
    kept: str = ""

    @property
    def is_left(self) -> bool:
        """Should it not be there?"""
        return self.found > 0 and not self.kept

    def facts(self) -> dict[str, Any]:
        """For the JSON line."""
        return asdict(self)


@dataclass(frozen=True)
class Person:
    """Who is looked for."""

    team_id: str
    user_id: str


async def look_at_tables(target: Target, person: Person) -> list[Seen]:
    """Every table of the services: rows of theirs, and where their id or their objects stand in others."""
    async with target.reading() as connection:
        columns: dict[str, list[tuple[str, str]]] = {}
        for row in await connection.fetch(_COLUMNS, list(SCHEMAS)):
            columns.setdefault(row["name"], []).append((row["column_name"], row["data_type"]))
        seen: list[Seen] = []
        for table, of_table in columns.items():
            condition = condition_of(table, of_table)
            if condition is None:
                continue
            query = f"select count(*) from {table} where $1::text <> '' and $2::text <> '' and {condition}"  # noqa: S608  names of our own schema
            found = await connection.fetchval(query, person.team_id, person.user_id)
            seen.append(Seen("PostgreSQL", table, found, "the ledger of consent" if table in LEDGER else ""))
        stands = await connection.fetchval(
            f"select count(*) from {ANSWERS} where team_id = $1 and user_id = $2 and {SENT}",  # noqa: S608
            person.team_id,
            person.user_id,
        )
        place = f"{ANSWERS} (where answers of theirs stand in Slack)"
        seen.append(Seen("PostgreSQL", place, stands, "so that they can still take them back"))
    return seen


def condition_of(table: str, columns: list[tuple[str, str]]) -> str | None:
    """When a row is about the person ($1 workspace, $2 person). None: no column of that table can tell."""
    names = {name for name, _ in columns}
    told: list[str] = []
    for name, kind in columns:
        if (table, name) == ERASED:
            continue
        if name == "user_id":
            told.append("user_id = $2")
        elif kind == "ARRAY":
            told.append(f"$2 = any({name}::text[])")
        elif kind == "jsonb":
            told.append(rf"{name}::text ~ ('\m' || $2 || '\M')")
        elif kind == "text":
            told.append(f"{name} like '%personas/' || $2 || '/%'")
    if not told:
        return None
    either = f"({' or '.join(told)})"
    if table == ANSWERS:
        either += f" and not {SENT}"
    return f"team_id = $1 and {either}" if "team_id" in names else either


async def look_at_bucket(storage: Storage, person: Person) -> list[Seen]:
    """Their own prefix, and their messages in every object of every corpus."""
    theirs = await storage.list_keys(f"{persona_prefix(person.team_id, person.user_id)}/")
    home = workspace_prefix(person.team_id)
    seen = [Seen("S3", f"{persona_prefix(person.team_id, person.user_id)}/", len(theirs))]
    messages = directories = 0
    for key in await storage.list_keys(f"{home}/corpora/"):
        data = await storage.get_bytes(key, limit_bytes=OBJECT_BYTES)
        said = await asyncio.to_thread(count_said, key, data, person.user_id)
        if key.endswith(f"/{PEOPLE_FILE}"):
            directories += said
        else:
            messages += said
    uploads = await storage.list_keys(f"{home}/exports/")
    return [
        *seen,
        Seen("S3", f"{home}/corpora/ (their messages)", messages),
        Seen("S3", f"{home}/corpora/ (directory of people)", directories, "the workspace's list of names"),
        Seen("S3", f"{home}/exports/ (uploads nobody has read yet)", len(uploads)),
    ]


def count_said(key: str, data: bytes, user_id: str) -> int:
    """How often that person is an author in an object, packed or not (blocking)."""
    if key.endswith(".zst"):
        import zstandard

        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    return len(re.findall(rb'"user(?:_id)?"\s*:\s*"' + user_id.encode() + rb'"', data))


async def look_at_streams(bus: Bus, person: Person) -> list[Seen]:
    """Every message of every stream."""
    seen: list[Seen] = []
    for stream in STREAMS:
        if stream.name in NOT_OURS:
            continue
        found = 0
        async for message in scan.messages(bus.jetstream, stream.name):
            found += scan.is_about(message, person.team_id, person.user_id)
        seen.append(Seen("NATS", stream.name, found))
    return seen


async def look_at_replicas(bus: Bus, person: Person, expected: dict[str, int]) -> list[Seen]:
    """Disk and engine of each replica that answers. `expected`: how many should, where that is known."""
    look = PersonaLook(request_id=uuid4(), team_id=person.team_id, user_id=person.user_id)
    answers = await _answers(bus, look, sum(expected.values()))
    seen = [
        Seen(f"{answer.service} {answer.replica}", place, found)
        for answer in sorted(answers, key=lambda each: (each.service, each.replica))
        for place, found in answer.held.items()
    ]
    for service in ("inference", "trainer"):
        missing = expected.get(service, 0) - sum(answer.service == service for answer in answers)
        if missing > 0:
            seen.append(Seen(service, "replicas that did not answer", missing))
        elif not any(answer.service == service for answer in answers):
            seen.append(Seen(service, "no replica runs; one that starts empties its folder first", 0))
    return seen


async def _answers(bus: Bus, look: PersonaLook, wanted: int) -> list[PersonaHeld]:
    """Until so many came (0: nobody knows how many), or the time is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ANSWER_S
    found: list[PersonaHeld] = []
    subscription = await bus.client.subscribe(f"persona.held.{look.request_id}")  # pyright: ignore[reportUnknownMemberType]
    try:
        await bus.publish_core(PERSONA_LOOK.name, look)
        while (not wanted or len(found) < wanted) and (left_s := deadline - loop.time()) > 0:
            try:
                message = await subscription.next_msg(timeout=left_s)
            except nats.errors.TimeoutError:
                break
            with contextlib.suppress(ValidationError):
                found.append(PersonaHeld.model_validate_json(message.data))
    finally:
        await subscription.unsubscribe()
    return found
