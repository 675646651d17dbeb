"""An expected no is one plain sentence in scrape.result; the message is settled and the service stays up."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from proto.artifacts import export_key
from tests.integration.scraper.desk import TEAM, Desk
from tests.support.desk import end
from tests.support.waiting import eventually


async def refused(desk: Desk, source: str, **fields: Any) -> str:
    """Ask, and read the code of the refusal; its message is gone from the stream and nothing is parked."""
    result = await desk.result(await desk.ask(source, **fields))
    await eventually(desk.settled, what="the request is settled")
    assert result.error is not None
    assert result.error.message.endswith(".")
    assert result.corpus_id is None
    assert await desk.dead("scrape.request") == 0
    return result.error.code


def make_zip(path: Path, files: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, (str, bytes)) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("switch", "installed", "code"),
    [("", True, "source_not_allowed"), ("yes", True, "source_not_allowed")],
)
async def test_the_api_is_not_read_without_the_operators_word(
    desk: Desk, switch: str, installed: bool, code: str
) -> None:
    await desk.install()
    await desk.start(train_on_slack_api=switch)
    assert await refused(desk, "api") == code


async def test_without_an_installation_the_person_is_told_what_to_do(
    desk: Desk, api: dict[str, object]
) -> None:
    await desk.start(**api)
    assert await refused(desk, "api") == "not_installed"


async def test_a_revoked_token_is_one_sentence(desk: Desk, api: dict[str, object]) -> None:
    await desk.install("xoxb-somebody-elses")
    await desk.start(**api)
    assert await refused(desk, "api") == "request_invalid"


async def test_no_dataset_without_a_yes_and_none_after_a_no(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    source = await desk.upload(export_zip)
    assert await refused(desk, source, user_id="U0ADA") == "no_consent"
    await desk.consent("U0ADA")
    await desk.consent("U0ADA", granted=False)
    assert await refused(desk, source, user_id="U0ADA") == "no_consent"
    assert await desk.storage.exists(source.partition(":")[2])


async def test_who_may_not_be_imitated_is_refused(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    await desk.result(await desk.ask(await desk.upload(export_zip)))
    for user_id, code in (
        ("U0NOBODY", "persona_unknown"),
        ("U0GUEST", "persona_not_allowed"),
        ("U0GONE", "persona_not_allowed"),
        ("USLACKBOT", "persona_not_allowed"),
    ):
        await desk.consent(user_id)
        assert await refused(desk, "corpus:latest", user_id=user_id) == code


async def test_too_little_history_says_how_much_there_is(desk: Desk, export_zip: Path) -> None:
    await desk.start(min_samples=100_000)
    await desk.consent("U0ADA")
    source = await desk.upload(export_zip)
    result = await desk.result(await desk.ask(source, user_id="U0ADA"))
    assert result.error is not None
    assert result.error.code == "dataset_too_small"
    assert "100000 are needed" in result.error.message
    assert (
        await desk.database.fetchval("select count(*) from scraper.corpora") == 1
    )  # the reading was not in vain


async def test_a_corpus_must_exist_before_it_is_cut(desk: Desk) -> None:
    await desk.serve()
    await desk.consent("U0ADA")
    assert await refused(desk, "corpus:latest", user_id="U0ADA") == "corpus_missing"
    assert await refused(desk, "corpus:latest") == "request_invalid"


async def test_uploads_of_another_workspace_or_kind_or_that_are_gone_are_refused(
    desk: Desk, export_zip: Path
) -> None:
    await desk.serve()
    foreign = await desk.upload(export_zip, "T0OTHER")
    assert await refused(desk, foreign) == "request_invalid"
    assert await refused(desk, foreign.replace("export:", "text:")) == "request_invalid"
    assert await refused(desk, f"text:{export_key(TEAM, 'a' * 64, 'zip')}") == "request_invalid"
    assert await refused(desk, f"export:{export_key(TEAM, 'a' * 64, 'csv')}") == "request_invalid"
    assert await refused(desk, f"text:{export_key(TEAM, 'a' * 64, 'csv')}") == "text_invalid"
    assert await refused(desk, f"export:{export_key(TEAM, 'a' * 64, 'zip')}") == "export_invalid"


async def test_a_wrong_upload_is_one_sentence_and_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    await desk.serve()
    for name, data, sentence in (
        (
            "a.jsonl",
            b'{"time": 1, "channel": "c", "text": "zebra"}\n{"time": 1, "text": "zebra"}\n',
            "line 2 lacks `channel`",
        ),
        ("a.csv", b'time,channel,text\n1,c,"zebra\n', "line 2 is no valid CSV"),
        ("b.csv", b"PK\x03\x04\x00\xff", "line 1"),
    ):
        (tmp_path / name).write_bytes(data)
        source = await desk.upload(tmp_path / name)
        result = await desk.result(await desk.ask(source))
        assert result.error is not None
        assert result.error.code == "text_invalid"
        assert sentence in result.error.message
        assert "zebra" not in result.error.message
    damaged = f"export:{export_key(TEAM, 'b' * 64, 'zip')}"
    await desk.storage.put_bytes(damaged.partition(":")[2], b"not what its name says")
    assert await refused(desk, damaged) == "export_invalid"
    assert await desk.storage.list_keys(f"workspaces/{TEAM}/corpora/") == []
    assert not list(desk.shared.scratch.iterdir())


async def test_a_corpus_of_the_api_is_cut_with_the_operators_word_only(
    desk: Desk, api: dict[str, object]
) -> None:
    await desk.install()
    await desk.consent("U0ADA")
    allowed = await desk.start(**api)
    assert (await desk.result(await desk.ask("api"))).error is None
    await end(allowed)
    await desk.serve()
    assert await refused(desk, "corpus:latest", user_id="U0ADA") == "source_not_allowed"


USERS = [{"id": "U0ADA", "team_id": TEAM, "name": "ada"}]
CHANNELS = [{"id": "C0ENG", "name": "eng"}]
SAID = [{"type": "message", "user": "U0ADA", "ts": "1700000000.000100", "text": "hello"}]


@pytest.mark.parametrize(
    "files",
    [
        {"users.json": USERS},
        {"channels.json": CHANNELS, "eng/2024-01-01.json": SAID},
        {"channels.json": CHANNELS, "users.json": {"members": USERS}},
        {"channels.json": CHANNELS, "users.json": USERS, "eng/2024-01-01.json": '[{"ts": "1'},
        {"channels.json": CHANNELS, "users.json": USERS, "eng/2024-01-01.json": '["\xe9"]'.encode("latin-1")},
        {"channels.json": CHANNELS, "users.json": USERS, "inner.zip": b"PK"},
    ],
    ids=["no-channels", "no-users", "users-no-list", "cut-short", "wrong-encoding", "nested"],
)
async def test_a_broken_export_leaves_nothing_behind(
    desk: Desk, tmp_path: Path, files: dict[str, Any]
) -> None:
    await desk.serve()
    source = await desk.upload(make_zip(tmp_path / "broken.zip", files))
    assert await refused(desk, source) == "export_invalid"
    assert await desk.storage.list_keys("workspaces/") == [source.partition(":")[2]]
    assert await desk.database.fetchval("select count(*) from scraper.corpora") == 0
    assert not list(desk.shared.scratch.iterdir())


async def test_no_word_and_no_name_is_in_any_log(desk: Desk, tmp_path: Path) -> None:
    said = [
        {"type": "message", "user": "U0ADA", "ts": f"17000000{i:02d}.000100", "text": f"zebra-canary {i}"}
        for i in range(60)
    ]
    users = [{"id": "U0ADA", "name": "ada", "profile": {"display_name": "Canary Lovelace"}}]
    files = {"channels.json": CHANNELS, "users.json": users, "eng/2024-01-01.json": said}
    await desk.start(log_level="DEBUG")
    await desk.consent("U0ADA")
    source = await desk.upload(make_zip(tmp_path / "canary.zip", files))
    await desk.result(await desk.ask(source, user_id="U0ADA"))
    files["eng/2024-01-02.json"] = '[{"text": "zebra-canary"'
    await refused(desk, await desk.upload(make_zip(tmp_path / "broken.zip", files)))
    assert "corpus committed" in desk.log()
    assert "zebra" not in desk.log()
    assert "Lovelace" not in desk.log()
