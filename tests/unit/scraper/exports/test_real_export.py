"""A real channel of fourteen years in an export's shape, where it lies beside the repository."""

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from proto.conversation import WordsOf
from tests.unit.scraper.exports.reading import Corpus, read

ROOT: Final = Path(__file__).resolve().parents[4]
UBUNTU: Final = ROOT.parent / "shared/data/ubuntu-irc/ubuntu-irc-slack-export.zip"
TEAM: Final = "T0UBUNTU"

pytestmark = pytest.mark.skipif(not UBUNTU.exists(), reason="the real export is not here")


@pytest.fixture(scope="module")
def raws() -> list[dict[str, Any]]:
    """Every message, straight from the JSON."""
    with zipfile.ZipFile(UBUNTU) as archive:
        days = [name for name in archive.namelist() if name.startswith("ubuntu/") and name.endswith(".json")]
        return [raw for name in days for raw in json.loads(archive.read(name))]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """What it becomes."""
    link = tmp_path_factory.mktemp("real") / "export.zip"
    link.symlink_to(UBUNTU)
    return read(link, TEAM)


def test_every_human_message_is_there_and_credited_to_its_author(
    corpus: Corpus, raws: list[dict[str, Any]]
) -> None:
    said = Counter(raw["user"] for raw in raws if raw.get("subtype") in (None, "me_message"))
    found = Counter(message.user_id for message in corpus.messages if message.words_of is WordsOf.PERSON)
    assert found == said
    assert found.total() == 216_434 + 509
    assert Counter(m.subtype for m in corpus.messages if m.words_of is WordsOf.PERSON)["me_message"] == 509


def test_what_an_app_said_is_nobodys(corpus: Corpus) -> None:
    others = [message for message in corpus.messages if message.words_of is not WordsOf.PERSON]
    assert (len(others), {message.user_id for message in others}) == (4_421, {None})
    assert {message.words_of for message in others} == {WordsOf.APP}


def test_threads_are_as_they_were(corpus: Corpus, raws: list[dict[str, Any]]) -> None:
    kept = {message.ts for message in corpus.messages}
    threads = {raw["ts"]: raw["thread_ts"] for raw in raws if "thread_ts" in raw and raw["ts"] in kept}
    found = {message.ts: message.thread_ts for message in corpus.messages if message.thread_ts is not None}
    assert found == threads
    roots = {message.ts for message in corpus.messages if message.thread_ts == message.ts}
    replies = [message for message in corpus.messages if message.thread_ts not in (None, message.ts)]
    assert (len(replies), len(roots)) == (56_398, 6_310)
    assert {message.thread_ts for message in replies} == roots


def test_no_two_messages_are_one_and_all_are_in_order(corpus: Corpus) -> None:
    keys = [(message.thread_ts or message.ts, message.ts) for message in corpus.messages]
    assert keys == sorted(keys)
    assert len({ts for _, ts in keys}) == len(keys)


def test_text_is_unescaped_once(corpus: Corpus, raws: list[dict[str, Any]]) -> None:
    plain = {raw["ts"]: raw["text"] for raw in raws if "<" not in raw["text"]}
    entities = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))  # in this order: what & makes is not read again
    for message in corpus.messages:
        if (text := plain.get(message.ts)) is not None:
            for entity, sign in entities:
                text = text.replace(entity, sign)
            assert message.text == text


def test_reading_it_again_changes_nothing(corpus: Corpus, tmp_path: Path) -> None:
    link = tmp_path / "export.zip"
    link.symlink_to(UBUNTU)
    again = read(link, TEAM)
    assert (again.hashes, again.dropped) == (corpus.hashes, corpus.dropped)
