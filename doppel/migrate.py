"""Numbered plain SQL under an advisory lock: one schema and one role per service, no DDL for any of them."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

from doppel.settings import SettingsError

log = logging.getLogger(__name__)

ROOT: Final = Path(__file__).resolve().parent.parent / "services"
OWNER: Final = "doppel_owner"
SERVICES: Final = ("gateway", "scraper", "trainer", "inference")
READER: Final = "reader"  # the operator's command: reads everything but tokens, writes nothing
LOCK: Final = 0x646F7070656C  # "doppel"
CONNECT_S: Final = 10.0
STATEMENT_S: Final = 60.0


def read_migrations(root: Path = ROOT) -> list[tuple[str, str]]:
    """``[(gateway/0001_gateway.sql, text)]`` in the order in which they apply. A missing room has none."""
    found: list[tuple[str, str]] = []
    for service in SERVICES:
        files = sorted((root / service / "migrations").glob("[0-9]*.sql"))
        found += [(f"{service}/{file.name}", file.read_text(encoding="utf-8")) for file in files]
    return sorted(
        found, key=lambda entry: (entry[0].split("/")[1][:4], SERVICES.index(entry[0].split("/")[0]))
    )


async def migrate(dsn: str, passwords: Mapping[str, str]) -> list[str]:
    """Make roles and schemas, then apply what is missing; returns the names applied.

    `dsn` connects as a superuser or as a role that may create roles and owns the database; `passwords` has one
    entry per service. Each file is one transaction with its record, under the lock, so two at once do it once.
    Raises asyncpg's errors, SettingsError for a missing password.
    """
    for service in (*SERVICES, READER):
        if not passwords.get(service):
            raise SettingsError(
                f"DOPPEL_{service.upper()}_DB_PASSWORD is missing; `doppel db migrate` needs one per service."
            )
    connection = await asyncpg.connect(dsn, timeout=CONNECT_S, command_timeout=STATEMENT_S)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
            await _make_roles(connection, passwords)
        applied: list[str] = []
        for name, text in read_migrations():
            async with connection.transaction():
                await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
                if await connection.fetchval(
                    "select true from doppel.schema_migrations where name = $1", name
                ):
                    continue
                await connection.execute(f"set local role {OWNER}")
                await connection.execute(text)
                await connection.execute("reset role")
                await connection.execute("insert into doppel.schema_migrations (name) values ($1)", name)
            applied.append(name)
            log.info("migration applied", extra={"migration": name})
        return applied
    finally:
        await connection.close()


async def _make_roles(connection: "asyncpg.Connection[asyncpg.Record]", passwords: Mapping[str, str]) -> None:
    database = await connection.fetchval("select quote_ident(current_database())")
    await connection.execute("create schema if not exists doppel")
    await connection.execute(
        "create table if not exists doppel.schema_migrations"
        " (name text primary key, applied_at timestamptz not null default now())"
    )
    await _make_role(connection, OWNER, "nologin")
    await connection.execute(f"grant {OWNER} to current_user")
    await connection.execute("revoke create on schema public from public")
    await connection.execute(f"revoke temporary on database {database} from public")
    await _make_login(connection, READER, passwords)
    for service in SERVICES:
        await _make_login(connection, service, passwords)
        await connection.execute(
            f"""alter role {service} set statement_timeout = '5s';
                alter role {service} set lock_timeout = '2s';
                alter role {service} set idle_in_transaction_session_timeout = '10s';
                create schema if not exists {service} authorization {OWNER};
                alter default privileges for role {OWNER} in schema {service}
                    grant select, insert, update, delete on tables to {service};
                alter default privileges for role {OWNER} in schema {service} grant usage on sequences to {service};
                alter default privileges for role {OWNER} in schema {service} grant select on tables to {READER};
                grant usage on schema doppel to {service};
                grant select on doppel.schema_migrations to {service}"""
        )
    for service in (
        *SERVICES,
        READER,
    ):  # usage lets a role name what it was granted; the grants stand in the migrations
        await connection.execute(f"grant usage on schema {', '.join(SERVICES)} to {service}")


async def _make_login(
    connection: "asyncpg.Connection[asyncpg.Record]", name: str, passwords: Mapping[str, str]
) -> None:
    secret = await connection.fetchval("select quote_literal($1::text)", passwords[name])
    await _make_role(connection, name, f"login password {secret}")


async def _make_role(connection: "asyncpg.Connection[asyncpg.Record]", name: str, options: str) -> None:
    exists = await connection.fetchval("select true from pg_roles where rolname = $1", name)
    await connection.execute(f"{'alter' if exists else 'create'} role {name} {options}")


def expected_migrations() -> frozenset[str]:
    """What this checkout needs applied; readiness compares it with the table."""
    return frozenset(name for name, _ in read_migrations())
