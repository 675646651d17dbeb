"""Roles and schemas: each service writes its own and reads only what it was granted."""

import asyncio

import asyncpg
import pytest

from doppel.migrate import expected_migrations, migrate
from tests.support.servers import TestServers


async def run(servers: TestServers, role: str, query: str) -> str:
    connection = await asyncpg.connect(servers.dsn(role))
    try:
        return await connection.execute(query)
    finally:
        await connection.close()


async def test_everything_is_applied_once_also_by_two_at_once(clean: TestServers) -> None:
    passwords = clean.running.secrets.role_passwords
    applied = await asyncio.gather(*(migrate(clean.postgres_dsn, passwords) for _ in range(2)))
    assert applied == [[], []]
    connection = await asyncpg.connect(clean.postgres_dsn)
    names = {row["name"] for row in await connection.fetch("select name from doppel.schema_migrations")}
    await connection.close()
    assert names == expected_migrations()


@pytest.mark.parametrize(
    ("role", "query"),
    [
        ("inference", "select * from gateway.installations"),
        ("trainer", "select * from gateway.installations"),
        ("reader", "select bot_token from gateway.installations"),
        ("scraper", "insert into gateway.personas (team_id, user_id) values ('T1', 'U1')"),
        ("gateway", "insert into trainer.runs default values"),
        ("gateway", "update gateway.consents set granted = true"),
        ("gateway", "delete from gateway.consents"),
        ("trainer", "create table trainer.x (y int)"),
        ("trainer", "create table public.x (y int)"),
        ("inference", "create temporary table x (y int)"),
        ("reader", "delete from trainer.runs"),
    ],
)
async def test_what_is_not_granted_is_refused(clean: TestServers, role: str, query: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run(clean, role, query)


@pytest.mark.parametrize(
    ("role", "query"),
    [
        ("inference", "select * from gateway.active_adapters"),
        ("inference", "select * from trainer.adapters"),
        ("trainer", "select * from gateway.consents_now"),
        ("trainer", "select * from scraper.datasets"),
        ("scraper", "select * from gateway.installations"),
        ("gateway", "select * from scraper.corpora"),
        ("gateway", "select * from trainer.runs"),
        ("reader", "select * from gateway.personas"),
        ("reader", "select * from scraper.datasets"),
    ],
)
async def test_what_a_service_needs_is_granted(clean: TestServers, role: str, query: str) -> None:
    assert (await run(clean, role, query)).startswith("SELECT")


async def test_the_newest_consent_counts(clean: TestServers) -> None:
    connection = await asyncpg.connect(clean.dsn("gateway"))
    for key, granted in (("a", True), ("b", False)):
        await connection.execute(
            "insert into gateway.consents (team_id, user_id, granted, recorded_by, source_key)"
            " values ('T1', 'U1', $1, 'person', $2)",
            granted,
            key,
        )
    assert await connection.fetchval("select granted from gateway.consents_now where user_id = 'U1'") is False
    await connection.close()
