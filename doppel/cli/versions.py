"""What the command knows of runs and versions: read from the tables, never written there."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from doppel.cli.target import Target
from doppel.cli.terminal import Failure

_SHORT_ID: Final = re.compile(r"[0-9a-f-]{4,36}")
_COLUMNS: Final = """
    select r.run_id, r.team_id, r.user_id, coalesce(nullif(p.name, ''), r.user_id) as name, r.state, r.requested_at,
           r.ended_at, r.dataset_id, r.dataset_sha256, r.base_model, r.base_model_sha256, r.lora_rank, r.code_version,
           r.sample_count, r.step_count, r.base_test_loss, r.test_loss, r.train_s, r.adapter_prefix,
           r.manifest_sha256, r.report_prefix, r.report_manifest_sha256, r.collected_at,
           a.run_id is not null as active
    from trainer.runs r
    left join gateway.active_adapters a on a.run_id = r.run_id
    left join gateway.personas p on p.team_id = r.team_id and p.user_id = r.user_id
    where r.team_id = $1
"""


@dataclass(frozen=True)
class Version:
    """One run with what became of it."""

    run_id: UUID
    team_id: str
    user_id: str
    name: str
    state: str
    requested_at: datetime
    ended_at: datetime | None
    dataset_id: UUID
    dataset_sha256: str | None
    base_model: str
    base_model_sha256: str | None
    lora_rank: int | None
    code_version: str
    sample_count: int | None
    step_count: int | None
    base_test_loss: float | None
    test_loss: float | None
    train_s: float | None
    adapter_prefix: str | None
    manifest_sha256: str | None
    report_prefix: str | None
    report_manifest_sha256: str | None
    collected_at: datetime | None
    active: bool

    @property
    def is_usable(self) -> bool:
        """Published, and its weights are still there."""
        return self.state == "published" and self.collected_at is None

    @property
    def standing(self) -> str:
        """In one word."""
        if self.active:
            return "active"
        return "collected" if self.collected_at else self.state


async def the_team(target: Target, team_id: str | None) -> str:
    """The workspace that is meant; unnamed, the only one that has trained somebody. Raises Failure."""
    if team_id is not None:
        return team_id
    async with target.reading() as connection:
        rows = await connection.fetch("select distinct team_id from trainer.runs order by team_id limit 10")
    found: list[str] = [row["team_id"] for row in rows]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failure("Nobody has been trained yet. Start with `doppel train`.", code="adapter_missing")
    raise Failure(f"Say which workspace with --team: {', '.join(found)}.", code="ambiguous")


async def fetch_versions(target: Target, team_id: str, user_id: str | None = None) -> list[Version]:
    """Every ended run, the newest first."""
    async with target.reading() as connection:
        rows = await connection.fetch(
            f"{_COLUMNS} and r.state <> 'running' and ($2::text is null or r.user_id = $2)"
            " order by r.user_id, r.requested_at desc",
            team_id,
            user_id,
        )
    return [_version(row) for row in rows]


async def fetch_version(target: Target, team_id: str, run_id: str) -> Version:
    """The one run whose id begins so. Raises Failure."""
    if not _SHORT_ID.fullmatch(run_id.lower()):
        raise Failure("A version is a run's id, or its first four characters or more.", code="usage")
    async with target.reading() as connection:
        rows = await connection.fetch(
            f"{_COLUMNS} and r.run_id::text like $2 || '%' limit 2", team_id, run_id.lower()
        )
    if len(rows) == 1:
        return _version(rows[0])
    if rows:
        raise Failure(f"Several versions begin with {run_id}. Write more of it.", code="ambiguous")
    raise Failure(
        f"There is no version {run_id}. `doppel adapter list` shows which there are.", code="version_missing"
    )


def facts_of(version: Version) -> dict[str, Any]:
    """For ``--json``."""
    return {name: getattr(version, name) for name in Version.__dataclass_fields__} | {
        "standing": version.standing
    }


def _version(row: "asyncpg.Record") -> Version:
    return Version(**dict(row))
