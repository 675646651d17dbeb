import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Message, WordsOf
from proto.errors import TextInvalid
from services.scraper.adapters.text_file import TextFile, build_from_text
from services.scraper.adapters.work import Work
from services.scraper.core.normalise import Said
from services.scraper.core.source import TsWindow
from services.scraper.core.text_rows import derive_channel_id, derive_user_id

T = 1_700_000_000


def row(
    text: str, time: Any = T, author: str = "ada", channel: str = "general", **more: Any
) -> dict[str, Any]:
    return {"author": author, "time": time, "channel": channel, "text": text, **more}


def jsonl(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def as_csv(*rows: dict[str, Any], delimiter: str = ",") -> str:
    out = io.StringIO()
    names = list(dict.fromkeys(key for each in rows for key in each))
    writer = csv.DictWriter(out, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read(folder: Path, data: bytes, suffix: str = "jsonl") -> tuple[list[Message], TextFile]:
    for left in folder.glob("*"):
        left.unlink()
    path = folder / f"upload.{suffix}"
    path.write_bytes(data)
    with TextFile(path, folder, Work()) as text:
        found = [outcome.message for _, outcome in text.outcomes(TsWindow()) if isinstance(outcome, Said)]
    return found, text


def refusal(folder: Path, data: bytes, suffix: str = "jsonl") -> str:
    with pytest.raises(TextInvalid) as caught:
        read(folder, data, suffix)
    return str(caught.value)


def test_messages_of_one_second_keep_their_order_and_never_meet(tmp_path: Path) -> None:
    rows = [
        row("one"),
        row("two"),
        row("four", time=T + 0.000002),
        row("three"),
        row("elsewhere", channel="dev"),
    ]
    messages, _ = read(tmp_path, jsonl(*rows))
    general = [m for m in messages if m.channel_id == derive_channel_id("general")]
    assert [(m.text, m.ts) for m in general] == [
        ("one", f"{T}.000000"),
        ("two", f"{T}.000001"),
        ("three", f"{T}.000002"),
        ("four", f"{T}.000003"),
    ]
    assert len(messages) == 5


def test_the_order_in_the_file_is_of_no_account(tmp_path: Path) -> None:
    rows = [row(f"n{i}", time=T + i, thread="a" if i % 2 else "", author=f"p{i % 3}") for i in range(20)]
    forth, _ = read(tmp_path, jsonl(*rows))
    back, _ = read(tmp_path, jsonl(*reversed(rows)))
    assert forth == back


def test_a_thread_begins_with_the_first_message_of_its_label_in_its_channel(tmp_path: Path) -> None:
    messages, _ = read(
        tmp_path,
        jsonl(
            row("reply", time=T + 9, thread="release"),
            row("root", time=T, thread="release"),
            row("alone", time=T + 1),
            row("other root", time=T + 5, thread="release", channel="dev"),
        ),
    )
    roots = {m.text: m.thread_ts for m in messages}
    assert roots == {
        "reply": f"{T}.000000",
        "root": f"{T}.000000",
        "alone": None,
        "other root": f"{T + 5}.000000",
    }


def test_whose_words_they_are(tmp_path: Path) -> None:
    messages, text = read(
        tmp_path,
        jsonl(
            row("mine", author="Ada", author_id="U0ADA"),
            row("mine too", time=T + 1, author="Ada L.", author_id="U0ADA"),
            row("a bot's", time=T + 2, author="deploybot", is_bot=True),
            {"time": T + 3, "channel": "general", "text": "who knows"},
            row("by name", time=T + 4, author="bob"),
        ),
    )
    assert [(m.user_id, m.words_of) for m in messages] == [
        ("U0ADA", WordsOf.PERSON),
        ("U0ADA", WordsOf.PERSON),
        (None, WordsOf.APP),
        (None, WordsOf.UNKNOWN),
        (derive_user_id("bob"), WordsOf.PERSON),
    ]
    people = {person.user_id: person for person in text.people}
    assert people["U0ADA"].display_name == "Ada L."
    assert people["U0ADA"].may_be_persona
    assert not people[derive_user_id("deploybot")].may_be_persona
    assert len(people) == 3


TRICKY = [
    row('he said "hi",\r\nthen left'),
    row("semi;colon\tand tab", time=T + 1),
    row("\u00e9\U0001f600", time=T + 2),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_comes_in_many_dresses(tmp_path: Path, encoding: str, delimiter: str) -> None:
    messages, _ = read(tmp_path, as_csv(*TRICKY, delimiter=delimiter).encode(encoding), "csv")
    assert [m.text for m in messages] == [each["text"] for each in TRICKY]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_jsonl_comes_in_many_dresses(tmp_path: Path, encoding: str) -> None:
    lines = "\r\n\r\n".join(json.dumps(each, ensure_ascii=False) for each in TRICKY)
    messages, _ = read(tmp_path, lines.encode(encoding))
    assert [m.text for m in messages] == [each["text"] for each in TRICKY]


def test_text_is_plain_already(tmp_path: Path) -> None:
    messages, _ = read(tmp_path, jsonl(row("a &lt; b <@U0ADA> *bold*")))
    assert messages[0].text == "a &lt; b <@U0ADA> *bold*"


@pytest.mark.parametrize(
    ("data", "suffix", "expected"),
    [
        (b"", "jsonl", "no message"),
        (b"", "csv", "no message"),
        (b"\n\n", "csv", "line 1 lacks `time`"),
        (b"author,time,channel,text\n", "csv", "no message"),
        (b'[{"time": 1}]\n', "jsonl", "line 1 is no JSON object"),
        (jsonl(row("a")) + b'{"zebra\n', "jsonl", "line 2 is no JSON object"),
        (jsonl(row("a"), {"time": T, "text": "zebra"}), "jsonl", "line 2 lacks `channel`"),
        (jsonl(row("a"), row("zebra", time="never")), "jsonl", "line 2 has a `time`"),
        (b"author,time,text\nada,1,zebra\n", "csv", "line 1 lacks `channel`"),
        (b"author,time,channel,text\nada,1,eng,zebra, yes\n", "csv", "line 2 has more fields"),
        (b'author,time,channel,text\nada,1,eng,"zebra\n', "csv", "line 2 is no valid CSV"),
        (b"author,time,channel,text\nada,1,eng,zebra\n\xe9\n", "csv", "line 3 is no UTF-8 text"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00\xff\xfe", "csv", "line 1"),
        (b'author,time,channel,text\n"x' + b'\n","x' * 2_500_000, "csv", "is unreasonably long"),
        (jsonl(row("a", channel="c" * 1001)), "jsonl", "line 1 has a `channel` longer than 1000"),
        (b"[" * 5000, "jsonl", "line 1 is no JSON object"),
    ],
)
def test_a_wrong_file_is_one_sentence_with_its_line(
    tmp_path: Path, data: bytes, suffix: str, expected: str
) -> None:
    sentence = refusal(tmp_path, data, suffix)
    assert expected in sentence
    assert "zebra" not in sentence
    assert "\n" not in sentence


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = [
        row(f"n{i}", time=T + i // 7, author=f"p{i % 5}", channel=f"c{i % 3}", thread=str(i % 4))
        for i in range(500)
    ]
    hashes: list[str] = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "upload.jsonl").write_bytes(jsonl(*rows))
        built = build_from_text(folder / "upload.jsonl", TsWindow(), folder, Work())
        assert built.message_count == 500
        assert built.channel_count == 3
        hashes.append(built.content_sha256)
    assert hashes[0] == hashes[1]


@given(
    rows=st.lists(
        st.tuples(
            st.text(max_size=20),
            st.integers(T, T + 3),
            st.sampled_from(["ada", "Ada", ""]),
            st.sampled_from("ab"),
        ),
        min_size=1,
        max_size=40,
    ),
    suffix=st.sampled_from(["csv", "jsonl"]),
)
def test_no_word_is_lost_and_none_is_credited_to_another(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, str, str]], suffix: str
) -> None:
    said = [row(text, time, author, channel) for text, time, author, channel in rows]
    data = jsonl(*said) if suffix == "jsonl" else as_csv(*said).encode("utf-8", "replace")
    messages, _ = read(tmp_path_factory.mktemp("text"), data, suffix)
    expected = sorted(
        (
            derive_channel_id(each["channel"]),
            derive_user_id(each["author"]) if each["author"] else "",
            kept,
        )
        for each in said
        if (kept := each["text"].replace("\0", "").encode("utf-8", "replace").decode()).strip()
    )
    assert sorted((m.channel_id, m.user_id or "", m.text) for m in messages) == expected
    assert len({(m.channel_id, m.ts) for m in messages}) == len(messages)


@given(st.binary(max_size=400), st.sampled_from(["csv", "jsonl"]))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    with contextlib.suppress(TextInvalid):
        read(tmp_path_factory.mktemp("bytes"), data, suffix)
