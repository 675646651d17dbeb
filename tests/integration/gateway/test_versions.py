"""An operator chooses which version of a voice answers."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from proto import subjects
from proto.persona import PersonaRequest
from proto.train import AdapterRef, RunState, TrainResult
from tests.integration.gateway.rig import Rig
from tests.support.waiting import eventually

VERSIONS_TEAM = "T0VERSIONS"


async def test_an_operator_rolls_back_and_forth_and_a_repeat_changes_nothing(rig: Rig) -> None:
    await consent(rig, "U0VERA")
    first, second, third = [await version(rig, "U0VERA", age=age) for age in (3, 2, 1)]
    other = await version(rig, "U0OTHER", age=1)
    await ask(rig, action="activate", run_id=third)
    assert await active(rig) == third

    back = await ask(rig, action="rollback")
    assert (back["run_id"], await active(rig)) == (str(second), second)
    await ask(rig, request_id=UUID(back["request_id"]), action="rollback", key="again")  # delivered once more
    assert await active(rig) == second
    await ask(rig, action="rollback")
    assert await active(rig) == first
    nothing = await ask(rig, action="rollback")
    assert nothing["error"]["code"] == "version_missing"
    assert (await ask(rig, action="activate", run_id=other))["error"]["code"] == "version_missing"
    assert await active(rig) == first

    # The result of what was rolled back, told again, does not bring it back; a collected one can't be chosen.
    await tell_published(rig, third)
    await collect(rig, second)
    assert (await ask(rig, action="activate", run_id=second))["error"]["code"] == "version_missing"
    assert await active(rig) == first
    # What is trained later takes over by itself.
    newest = await version(rig, "U0VERA", age=0)
    await tell_published(rig, newest)
    assert await active(rig) == newest


async def test_without_consent_no_version_is_chosen(rig: Rig) -> None:
    run_id = await version(rig, "U0NONE", age=1)
    refused = await ask(rig, user_id="U0NONE", action="activate", run_id=run_id)
    assert refused["error"]["code"] == "no_consent"


async def consent(rig: Rig, user_id: str) -> None:
    request = PersonaRequest(
        request_id=uuid4(), team_id=VERSIONS_TEAM, user_id=user_id, granted=True, reason="by mail"
    )
    await rig.tell(subjects.PERSONA_REQUEST, request, str(request.request_id))
    await rig.fact("persona.result", request_id=str(request.request_id))


async def ask(
    rig: Rig, *, user_id: str = "U0VERA", key: str = "", request_id: UUID | None = None, **what: Any
) -> dict[str, Any]:
    request = PersonaRequest(request_id=request_id or uuid4(), team_id=VERSIONS_TEAM, user_id=user_id, **what)
    await rig.tell(subjects.PERSONA_REQUEST, request, f"{request.request_id}{key}")
    await settled(rig, "PERSONA_REQUEST")
    return await rig.fact("persona.result", request_id=str(request.request_id))


async def settled(rig: Rig, stream: str) -> None:
    async def read() -> bool:
        info = await rig.engine.jetstream.consumer_info(stream, "gateway")
        return not info.num_pending and not info.num_ack_pending

    await eventually(read, what=f"{stream} is read")


async def version(rig: Rig, user_id: str, *, age: int) -> UUID:
    """A published run of `age` days ago."""
    run_id = uuid4()
    await rig.change(
        """insert into trainer.runs (run_id, request_id, team_id, user_id, dataset_id, state, holder, lease_until,
               requested_at, adapter_prefix, manifest_sha256)
           values ($1, $1, $2, $3, $1, 'published', 'x', now(), now() - $4::interval, $5, $6)""",
        run_id,
        VERSIONS_TEAM,
        user_id,
        timedelta(days=age),
        f"x/{run_id}",
        "0" * 64,
    )
    return run_id


async def collect(rig: Rig, run_id: UUID) -> None:
    await rig.change("update trainer.runs set collected_at = now() where run_id = $1", run_id)


async def active(rig: Rig) -> UUID:
    row = await rig.row("select run_id from gateway.active_adapters where user_id = 'U0VERA'")
    return row["run_id"]


async def tell_published(rig: Rig, run_id: UUID) -> None:
    row = await rig.row(f"select * from trainer.runs where run_id = '{run_id}'")
    result = TrainResult(
        request_id=row["request_id"],
        run_id=run_id,
        team_id=row["team_id"],
        user_id=row["user_id"],
        state=RunState.PUBLISHED,
        requested_at=row["requested_at"],
        adapter=AdapterRef(
            run_id=run_id, prefix=row["adapter_prefix"], manifest_sha256=row["manifest_sha256"]
        ),
    )
    await rig.tell(subjects.TRAIN_RESULT, result, f"{run_id}/published")
    await settled(rig, "FACTS")
