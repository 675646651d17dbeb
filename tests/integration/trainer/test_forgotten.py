"""A person is forgotten: what is trained for them ends, and rows, checkpoints, adapters, reports go."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from proto import subjects
from proto.artifacts import adapter_prefix, checkpoint_prefix
from proto.persona import PersonaPurge, PersonaPurged
from proto.train import RunState
from tests.integration.trainer.conftest import TEAM, Desk
from tests.support.waiting import eventually

HELD_S = 3


async def purge(desk: Desk, user_id: str, at: datetime | None = None) -> PersonaPurged:
    """As the gateway asks for it, and what came of it."""
    body = PersonaPurge(
        request_id=uuid4(), team_id=TEAM, user_id=user_id, requested_at=at or datetime.now(UTC)
    )
    await desk.bus.publish(subjects.PERSONA_PURGE, body, key=f"{body.request_id}/1")
    found = await eventually(
        lambda: desk.facts(subjects.PERSONA_PURGED, body.request_id), what="persona.purged", within_s=60
    )
    return found[0]


async def add_run(desk: Desk, user_id: str, state: str, *, held_s: float = 0) -> UUID:
    """A run as the trainer leaves it: checkpoint and, where it is over, an adapter."""
    run_id = uuid4()
    adapter = adapter_prefix(TEAM, user_id, run_id, 1) if state == "published" else None
    await desk.database.execute(
        """insert into trainer.runs (run_id, request_id, team_id, user_id, dataset_id, state, holder, lease_until,
               requested_at, adapter_prefix, manifest_sha256)
           values ($1, $1, $2, $3, $1, $4, 'x', now() + make_interval(secs => $5), now(), $6, $6)""",
        run_id,
        TEAM,
        user_id,
        state,
        float(held_s),
        adapter,
    )
    checkpoint = checkpoint_prefix(TEAM, user_id, run_id, 1, 4)
    await desk.database.execute(
        """insert into trainer.run_checkpoints (run_id, fence, step, prefix, manifest_sha256)
           values ($1, 1, 4, $2, 'x')""",
        run_id,
        checkpoint,
    )
    for prefix in filter(None, (checkpoint, adapter)):
        await desk.storage.put_bytes(f"{prefix}/manifest.json", b"{}")
    return run_id


async def left(desk: Desk, user_id: str) -> tuple[int, int]:
    """Rows and objects."""
    rows = await desk.database.fetchval("select count(*) from trainer.runs where user_id = $1", user_id)
    keys = await desk.storage.list_keys(f"workspaces/{TEAM}/personas/{user_id}/runs/")
    return rows, len(keys)


async def test_versions_and_runs_go_and_one_that_hangs_ends_with_its_reason(desk: Desk) -> None:
    await desk.start()
    await desk.consent("U0ADA", granted=False)
    await add_run(desk, "U0ADA", "published")
    await add_run(desk, "U0ADA", "rejected")
    hanging = await add_run(
        desk, "U0ADA", "running", held_s=HELD_S
    )  # its holder is dead, or lets go in a moment
    await desk.consent("U0BOB")
    await add_run(desk, "U0BOB", "published")

    told = await purge(desk, "U0ADA")

    assert told.removed == {"runs": 3, "objects": 3}  # the hanging one tidied itself as it ended
    assert told.left == 0
    result = await desk.result(hanging)
    assert result.state is RunState.CANCELLED
    assert await left(desk, "U0ADA") == (0, 0)
    assert await desk.database.fetchval("select count(*) from trainer.run_checkpoints") == 1
    assert await left(desk, "U0BOB") == (1, 2)
    again = await purge(desk, "U0ADA")
    assert not any(again.removed.values())


async def test_what_began_after_another_yes_stays(desk: Desk) -> None:
    await desk.start()
    await add_run(desk, "U0ADA", "published")
    at = await desk.database.fetchval("select now()")
    await desk.consent("U0ADA", granted=False)
    await desk.consent("U0ADA")
    newer = await add_run(desk, "U0ADA", "published")
    told = await purge(desk, "U0ADA", at)
    assert told.removed == {"runs": 1, "objects": 2}
    assert await desk.database.fetchval("select run_id from trainer.runs where user_id = 'U0ADA'") == newer
    assert await left(desk, "U0ADA") == (1, 2)


async def test_a_replica_says_what_of_a_person_lies_on_its_disk(desk: Desk) -> None:
    await desk.start()
    run_id = await add_run(desk, "U0ADA", "running", held_s=60)
    assert await held(desk, "U0ADA") == {"disk": 0}
    home = next((desk.folder / "cache" / "runs").iterdir())
    (home / f"{run_id}-1").mkdir()
    assert await held(desk, "U0ADA") == {"disk": 1}
    assert await held(desk, "U0BOB") == {"disk": 0}


async def held(desk: Desk, user_id: str) -> dict[str, Any]:
    look_id = str(uuid4())
    subscription = await desk.client.subscribe(f"persona.held.{look_id}")
    look = {"request_id": look_id, "team_id": TEAM, "user_id": user_id}
    await desk.client.publish("persona.look", json.dumps(look).encode())
    return json.loads((await subscription.next_msg(timeout=30)).data)["held"]
