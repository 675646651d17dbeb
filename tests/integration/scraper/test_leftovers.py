"""What a killed holder left goes; what a row names or a live scrape may need stays."""

from pathlib import Path
from uuid import uuid4

from proto.artifacts import corpus_prefix, dataset_prefix, export_key
from proto.body import derived_id
from tests.integration.scraper.desk import TEAM, Desk
from tests.support.waiting import eventually

AT_ONCE = {"leftover_hours": 1e-6, "upload_days": 1e-7, "collect_every_s": 0.5}


async def put(desk: Desk, prefix: str, *names: str) -> set[str]:
    keys = {f"{prefix}/{name}" for name in names}
    for key in keys:
        await desk.storage.put_bytes(key, b"x")
    return keys


async def test_leftovers_go_and_everything_named_stays(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    await desk.consent("U0ADA")
    result = await desk.result(await desk.ask(await desk.upload(export_zip), user_id="U0ADA"))
    assert result.error is None
    named = set(await desk.storage.list_keys("workspaces/"))
    live, dead = uuid4(), uuid4()
    await desk.database.execute(
        """insert into scraper.scrapes (request_id, team_id, source, user_id, holder, lease_until)
           values ($1, $2, $3, 'U0ADA', 'gone', now())""",
        live,
        TEAM,
        f"export:{export_key(TEAM, 'a' * 64, 'zip')}",
    )
    stays = await put(
        desk, corpus_prefix(TEAM, derived_id("corpus", str(live)), 1), "shards/C1.jsonl.zst", "pages/1"
    )
    stays |= await put(
        desk, dataset_prefix(TEAM, "U0ADA", derived_id("dataset", str(live), "U0ADA"), 1), "train.x"
    )
    stays |= await put(desk, f"workspaces/{TEAM}/personas/U0ADA/runs/{uuid4()}/1/adapter", "manifest.json")
    stays |= await put(desk, f"workspaces/{TEAM}/exports", f"{'a' * 64}.zip")
    row = await desk.database.fetchrow("select prefix from scraper.corpora")
    assert row is not None
    goes = await put(
        desk, corpus_prefix(TEAM, derived_id("corpus", str(dead)), 3), "manifest.json", "shards/C1.x"
    )
    goes |= await put(desk, row["prefix"], "pages/C1-000000.jsonl.zst")
    goes |= await put(desk, f"{row['prefix'].rpartition('/')[0]}/99", "shards/C1.x")
    goes |= await put(desk, dataset_prefix(TEAM, "U0ADA", uuid4(), 1), "train.x")
    goes |= await put(desk, f"workspaces/{TEAM}/exports", f"{'b' * 64}.zip")

    await desk.database.execute("delete from scraper.collections")
    await desk.start(**AT_ONCE)

    async def collected() -> bool:
        return not goes & set(await desk.storage.list_keys("workspaces/"))

    await eventually(collected, what="the leftovers are gone")
    assert set(await desk.storage.list_keys("workspaces/")) == named | stays
