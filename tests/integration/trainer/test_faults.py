"""Killed at a bad moment: the run goes on from its last checkpoint and is published once."""

import os
import signal
from pathlib import Path

from doppel.storage import Storage
from proto.artifacts import AdapterManifest, manifest_key
from proto.train import RunState
from tests.integration.trainer.conftest import TEAM, Desk
from tests.support.waiting import eventually


async def test_a_killed_child_then_a_killed_worker_and_still_one_adapter(
    desk: Desk, storage: Storage
) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    worker = await desk.start()
    run_id = await desk.ask("U0ADA", max_steps=60)
    await desk.checkpointed(run_id)

    for pid in desk.children():
        os.kill(pid, signal.SIGKILL)
    await desk.checkpointed(run_id, fence=2)
    children = desk.children()
    worker.kill()
    await worker.wait()

    async def gone() -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in children)

    await eventually(gone, what="the child dies with its parent", within_s=5)
    await desk.start()

    result = await desk.result(run_id)
    assert result.state is RunState.PUBLISHED
    assert result.adapter is not None
    row = await desk.row(run_id)
    assert (row["state"], row["fence"], row["handed_over"]) == ("published", 3, 0)
    manifest = await storage.get_model(
        AdapterManifest, manifest_key(result.adapter.prefix), sha256=result.adapter.manifest_sha256
    )
    assert manifest.step_count == 60
    assert f"/runs/{run_id}/3/" in result.adapter.prefix
    assert "run resumed" in desk.log()
    await desk.settled()
    assert len(await desk.results(run_id)) == 1


async def test_a_bucket_that_is_away_for_a_while_costs_a_wait_and_not_the_run(desk: Desk) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    await desk.start()
    run_id = await desk.ask("U0ADA", max_steps=40, validation_steps=2, patience=100)
    await desk.checkpointed(run_id)

    os.kill(desk.servers.running.supervisor.pids["s3"], signal.SIGKILL)  # its supervisor brings it back

    result = await desk.result(run_id)
    assert result.state in {RunState.PUBLISHED, RunState.REJECTED}
    row = await desk.row(run_id)
    assert (row["fence"], row["handed_over"]) == (1, 0)  # nobody had to take it over
    assert "waiting for the bucket" in desk.log()


async def test_sigterm_hands_the_run_over_with_its_checkpoint(desk: Desk) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    first = await desk.start()
    run_id = await desk.ask("U0ADA", max_steps=60)
    await desk.checkpointed(run_id)

    first.send_signal(signal.SIGTERM)
    assert await first.wait() == 0
    await desk.start()

    result = await desk.result(run_id)
    assert result.state is RunState.PUBLISHED
    row = await desk.row(run_id)
    assert (row["fence"], row["handed_over"]) == (2, 1)


async def test_a_worker_that_was_frozen_while_another_published_changes_nothing(
    desk: Desk, storage: Storage
) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    frozen = await desk.start()
    run_id = await desk.ask("U0ADA", max_steps=60)
    await desk.checkpointed(run_id)
    stopped = [frozen.pid, *desk.children()]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    other = await desk.start()

    result = await desk.result(run_id)
    published = await storage.list_keys(f"workspaces/{TEAM}/personas/U0ADA/")
    row = await desk.row(run_id)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)

    async def let_go() -> bool:
        return not Path(f"/proc/{stopped[1]}").exists()

    await eventually(let_go, what="the child whose run is another's ends", within_s=60)
    frozen.send_signal(signal.SIGTERM)
    other.send_signal(signal.SIGTERM)
    assert (await frozen.wait(), await other.wait()) == (0, 0)
    assert result.state is RunState.PUBLISHED
    assert result.adapter is not None
    assert f"/runs/{run_id}/2/" in result.adapter.prefix
    assert dict(await desk.row(run_id)) == dict(row)
    assert [one.state for one in await desk.results(run_id)] == [RunState.PUBLISHED]
    assert set(published) <= set(await storage.list_keys(f"workspaces/{TEAM}/personas/U0ADA/"))
