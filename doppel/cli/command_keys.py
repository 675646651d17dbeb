"""``doppel keys new · rotate``: the keys that tokens are stored under."""

from dataclasses import dataclass, field
from typing import Final

import asyncpg
import click
from pydantic import SecretStr

from doppel.cli import options
from doppel.cli.target import Target
from doppel.cli.terminal import Failure, Terminal, run
from doppel.local.home import Home
from doppel.local.settings import LocalSettings
from doppel.secrets import TokenBox, TokenUnreadable, new_key
from doppel.settings import DatabaseSettings

QUERY_S: Final = 10.0
ROUNDS: Final = 5  # a gateway may write a token while we look at it
# Table, its key, and the column that is sealed.
_SEALED: Final = (
    ("gateway.installations", "team_id", "bot_token"),
    ("gateway.installations", "team_id", "refresh_token"),
    ("gateway.outbox", "request_id::text || '/' || part", "response_url"),
)


@dataclass
class Count:
    """What was found."""

    resealed: int = 0
    already: int = 0
    unreadable: list[str] = field(default_factory=list[str])


@click.group()
def keys() -> None:
    """Keys."""


@keys.command("new")
def new() -> None:
    """Print a new key for DOPPEL_ENCRYPTION_KEYS; put it in front of the old ones."""
    click.echo(new_key())


@keys.command("rotate")
@options.json_line
def rotate(*, as_json: bool) -> None:
    """Store every token under the first of DOPPEL_ENCRYPTION_KEYS; then the old keys may go.

    First give all services the new key in front of the old ones, and restart them.
    """

    async def work(terminal: Terminal) -> None:
        dsn, box = _database_and_keys(Target.find())
        connection = await asyncpg.connect(dsn, timeout=QUERY_S, command_timeout=QUERY_S)
        try:
            total = Count()
            for _ in range(ROUNDS):
                found = await _reseal(connection, box)
                total = Count(total.resealed + found.resealed, found.already, found.unreadable)
                if not found.resealed:
                    break
            else:
                raise Failure("Tokens are being written all the time. Run it again.", code="busy")
        finally:
            await connection.close(timeout=QUERY_S)
        if total.unreadable:
            names = ", ".join(total.unreadable[:10])
            raise Failure(
                f"DOPPEL_ENCRYPTION_KEYS lacks the key of {names}. Keep the old keys, or install there again.",
                code="unreadable",
            )
        terminal.say(
            f"{total.resealed} tokens moved to the first key; all {total.already} are under it. The old keys may go."
        )
        terminal.done(resealed=total.resealed, sealed=total.already)

    run(work, as_json=as_json)


def _database_and_keys(target: Target) -> tuple[str, TokenBox]:
    settings, local = DatabaseSettings.read(), LocalSettings.read()
    keys = local.encryption_keys
    if "postgres_dsn" in settings.model_fields_set:
        if keys is None:
            raise Failure("DOPPEL_ENCRYPTION_KEYS is not set.", code="no_keys")
        return settings.dsn, TokenBox(keys)
    dsn = target.stack("DOPPEL_POSTGRES_DSN").postgres_dsn
    return dsn, TokenBox(keys or SecretStr(Home(local.home).secrets().encryption_key))


async def _reseal(connection: "asyncpg.Connection[asyncpg.Record]", box: TokenBox) -> Count:
    """One look at every row. A row that somebody writes meanwhile is left to the next look."""
    count = Count()
    for table, key, column in _SEALED:
        rows = await connection.fetch(
            f"select {key} as key, {column} as sealed from {table} where {column} is not null"  # noqa: S608  our own names
        )
        for row in rows:
            sealed: bytes | str = row["sealed"]
            try:
                fresh = box.reseal(sealed.encode() if isinstance(sealed, str) else sealed)
            except TokenUnreadable:
                count.unreadable.append(str(row["key"]))
                continue
            if fresh is None:
                count.already += 1
                continue
            await connection.execute(
                f"update {table} set {column} = $2 where {key} = $1 and {column} = $3",  # noqa: S608  our own names
                row["key"],
                fresh.decode() if isinstance(sealed, str) else fresh,
                sealed,
            )
            count.resealed += 1
    return count


COMMANDS: Final[tuple[click.Command, ...]] = (keys,)
