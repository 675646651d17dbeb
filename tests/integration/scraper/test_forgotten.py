"""A person is forgotten: their datasets, those in which they speak, and their messages in every corpus."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from proto import subjects
from proto.persona import PersonaPurge, PersonaPurged
from proto.scrape import ScrapeResult
from tests.integration.scraper.desk import TEAM, Desk
from tests.support.waiting import eventually


async def forget(desk: Desk, user_id: str) -> None:
    """The person's word, as the gateway writes it down."""
    await desk.consent(user_id, granted=False)
    await desk.database.execute(
        "insert into gateway.purges (purge_id, team_id, user_id, reason) values ($1, $2, $3, 'forget')",
        uuid4(),
        TEAM,
        user_id,
    )


async def purged(desk: Desk, user_id: str, at: datetime | None = None) -> PersonaPurged:
    """One round, and what came of it."""
    body = PersonaPurge(
        request_id=uuid4(), team_id=TEAM, user_id=user_id, requested_at=at or datetime.now(UTC)
    )
    await desk.bus.publish(subjects.PERSONA_PURGE, body, key=f"{body.request_id}/1")
    found = await eventually(
        lambda: desk.facts(subjects.PERSONA_PURGED, body.request_id), what="persona.purged", within_s=60
    )
    return found[0]


async def rows(desk: Desk, query: str, *arguments: Any) -> list[Any]:
    return await desk.database.fetch(query, *arguments)


async def messages_of(desk: Desk, user_id: str, corpus_id: UUID) -> int:
    result = ScrapeResult(request_id=uuid4(), team_id=TEAM, corpus_id=corpus_id)
    _, people, messages = await desk.corpus(result)
    assert any(person.user_id == user_id for person in people)  # the directory stays
    return sum(message.user_id == user_id for message in messages)


async def test_nothing_of_a_forgotten_person_is_left_and_others_keep_theirs(
    desk: Desk, export_zip: Path
) -> None:
    await desk.serve()
    for user_id in ("U0ADA", "U0BRAM"):
        await desk.consent(user_id)
    source = await desk.upload(export_zip)
    imported = await desk.result(await desk.ask(source))
    hers = await desk.result(await desk.ask("corpus:latest", user_id="U0ADA"))
    his = await desk.result(await desk.ask("corpus:latest", user_id="U0BRAM"))
    assert imported.corpus_id
    assert await messages_of(desk, "U0ADA", imported.corpus_id)
    bram = await messages_of(desk, "U0BRAM", imported.corpus_id)
    people = await desk.database.fetchval(
        "select people from scraper.datasets where dataset_id = $1", his.dataset_id
    )
    assert "U0ADA" in people

    await forget(desk, "U0ADA")
    told = await purged(desk, "U0ADA")

    assert told.removed["datasets"] == 2  # hers, and his, in which she speaks
    assert told.removed["messages"] > 0
    assert told.left == 0
    assert await messages_of(desk, "U0ADA", imported.corpus_id) == 0
    assert await messages_of(desk, "U0BRAM", imported.corpus_id) == bram
    assert await desk.storage.list_keys(f"workspaces/{TEAM}/personas/") == []
    found = await rows(desk, "select * from scraper.scrapes where request_id = $1", hers.request_id)
    assert (found[0]["user_id"], found[0]["result"]) == (None, None)
    keys = await desk.storage.list_keys(f"workspaces/{TEAM}/corpora/")
    assert len({key.split("/")[4] for key in keys}) == 1  # the old objects are gone
    assert not any((await purged(desk, "U0ADA")).removed.values())  # doing it again does nothing more

    # He is cut anew from what is left; a history that is imported once more is cleaned before anybody reads it.
    anew = await desk.result(await desk.ask("corpus:latest", user_id="U0BRAM"))
    assert anew.error is None
    again = await desk.result(await desk.ask(await desk.upload(export_zip)))
    assert again.corpus_id
    assert again.corpus_id != imported.corpus_id
    assert await messages_of(desk, "U0ADA", again.corpus_id) == 0


async def test_a_dataset_that_somebody_learns_from_goes_in_a_later_round(
    desk: Desk, export_zip: Path
) -> None:
    await desk.serve()
    await desk.consent("U0BRAM")
    await desk.result(await desk.ask(await desk.upload(export_zip)))
    his = await desk.result(await desk.ask("corpus:latest", user_id="U0BRAM"))
    run_id = uuid4()
    await desk.database.execute(
        """insert into trainer.runs
               (run_id, request_id, team_id, user_id, dataset_id, holder, lease_until, requested_at)
           values ($1, $1, $2, 'U0BRAM', $3, 'x', now(), now())""",
        run_id,
        TEAM,
        his.dataset_id,
    )
    await forget(desk, "U0ADA")
    assert (await purged(desk, "U0ADA")).left == 1
    await desk.database.execute("update trainer.runs set state = 'failed' where run_id = $1", run_id)
    told = await purged(desk, "U0ADA")
    assert (told.left, told.removed["datasets"]) == (0, 1)


async def test_what_was_cut_after_another_yes_stays(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    await desk.consent("U0ADA")
    await desk.result(await desk.ask(await desk.upload(export_zip)))
    await forget(desk, "U0ADA")
    at = await desk.database.fetchval("select now()")
    await desk.consent("U0ADA")
    cut = await desk.result(await desk.ask("corpus:latest", user_id="U0ADA"))
    assert cut.error is None
    told = await purged(desk, "U0ADA", at)
    assert not any(told.removed.values())
    assert await desk.storage.list_keys(f"workspaces/{TEAM}/personas/U0ADA/datasets/")
