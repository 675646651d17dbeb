"""``--user`` takes an id, a handle or a display name. Known people: the personas' table and the corpus's directory."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import asyncpg
from pydantic import TypeAdapter

from doppel.cli.target import Target
from doppel.cli.terminal import Failure
from doppel.storage import ObjectMissing, Storage
from proto.artifacts import PEOPLE_FILE, CorpusManifest, manifest_key
from proto.conversation import Person
from proto.errors import PersonaUnknown

_ID: Final = re.compile(r"^[UW][A-Z0-9]{1,30}$")
_PEOPLE: Final = TypeAdapter(tuple[Person, ...])
_NAMES: Final[tuple[Callable[[Person], str], ...]] = (
    lambda person: person.user_id,
    lambda person: person.handle,
    lambda person: person.display_name,
)
QUERY_S: Final = 5.0


def match(who: str, people: Iterable[Person]) -> Person:
    """The one person of that handle or name, whatever the case. Raises PersonaUnknown, Failure where several match."""
    wanted = who.strip().removeprefix("@").casefold()
    everyone = {person.user_id: person for person in people}.values()
    for name_of in _NAMES:
        found = [person for person in everyone if wanted and name_of(person).casefold() == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(sorted(person.user_id for person in found)[:10])
            raise Failure(
                f"{len(found)} people are called {who}: {ids}. Say which by its id.", code="ambiguous"
            )
    raise PersonaUnknown(who)


async def resolve(target: Target, team_id: str, who: str) -> Person:
    """Find a person of a workspace. An id is taken as it is, even where nobody is known yet."""
    people = await known_people(target, team_id)
    if _ID.match(who):
        return next((person for person in people if person.user_id == who), Person(user_id=who))
    return match(who, people)


async def known_people(target: Target, team_id: str) -> list[Person]:
    """The newest corpus's user directory, and personas that it does not hold."""
    async with target.reading() as connection:
        personas = await connection.fetch(
            "select user_id, name from gateway.personas where team_id = $1", team_id
        )
        corpus = await connection.fetchrow(
            "select prefix, manifest_sha256 from scraper.corpora where team_id = $1 order by created_at desc limit 1",
            team_id,
        )
    people = [] if corpus is None else list(await _directory(target, corpus))
    listed = {person.user_id for person in people}
    people += [
        Person(user_id=row["user_id"], display_name=row["name"])
        for row in personas
        if row["user_id"] not in listed
    ]
    return people


async def _directory(target: Target, corpus: "asyncpg.Record") -> tuple[Person, ...]:
    prefix: str = corpus["prefix"].rstrip("/")
    storage = Storage(target.storage)
    try:
        manifest = await storage.get_model(
            CorpusManifest, manifest_key(prefix), sha256=corpus["manifest_sha256"]
        )
        data: Any = await storage.get_bytes(
            f"{prefix}/{PEOPLE_FILE}", sha256=manifest.file(PEOPLE_FILE).sha256
        )
    except (ObjectMissing, KeyError):
        return ()
    finally:
        storage.close()
    return _PEOPLE.validate_json(data)
