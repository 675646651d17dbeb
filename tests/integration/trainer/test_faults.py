"""Killed at a bad moment: the run goes on from its last checkpoint and is published once."""

import os
import signal
from pathlib import Path

from doppel.storage import Storage
from proto.artifacts import AdapterManifest, manifest_key
from proto.train import RunState
from tests.integration.trainer.conftest import Desk
from tests.support.waiting import eventually


async def test_a_killed_child_is_resumed_under_the_next_fence(desk: Desk, storage: Storage) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    await desk.start()
    run_id = await desk.ask("U0ADA", max_steps=60)
    await desk.checkpointed(run_id)

    for pid in desk.children():
        os.kill(pid, signal.SIGKILL)

    result = await desk.result(run_id)
    assert result.state is RunState.PUBLISHED
    assert result.adapter is not None
    row = await desk.row(run_id)
    assert (row["state"], row["fence"], row["handed_over"]) == ("published", 2, 0)
    manifest = await storage.get_model(
        AdapterManifest, manifest_key(result.adapter.prefix), sha256=result.adapter.manifest_sha256
    )
    assert manifest.step_count == 60
    assert f"/runs/{run_id}/2/" in result.adapter.prefix
    assert "run resumed" in desk.log()
    await desk.settled()
    assert len(await desk.results(run_id)) == 1


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


async def test_a_killed_worker_takes_its_child_along_and_another_goes_on(desk: Desk) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    first = await desk.start()
    run_id = await desk.ask("U0ADA", max_steps=60)
    await desk.checkpointed(run_id)
    children = desk.children()
    await desk.start()

    first.kill()
    await first.wait()

    async def gone() -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in children)

    await eventually(gone, what="the child dies with its parent", within_s=5)
    result = await desk.result(run_id)
    assert result.state is RunState.PUBLISHED
    row = await desk.row(run_id)
    assert (row["state"], row["fence"], row["handed_over"]) == ("published", 2, 0)
    await desk.settled()
    assert len(await desk.results(run_id)) == 1
