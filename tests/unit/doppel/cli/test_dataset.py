"""`doppel dataset show`: the card in a terminal."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from doppel.cli.command_dataset import describe, panel
from proto.conversation import Sample, Turn
from proto.dataset import (
    ChannelCount,
    DatasetCard,
    DatasetSettings,
    DatasetSummary,
    Histogram,
    SplitCard,
    say_dropped,
)

LENGTHS = Histogram(unit="tokens", edges=(0, 8, 16), counts=(1, 0, 2), median=9, p95=20, largest=31)


def card(name: str = "eng") -> DatasetCard:
    return DatasetCard(
        content_sha256="a" * 64,
        summary=DatasetSummary(
            sample_count=3,
            message_count=4,
            channel_count=1,
            response_tokens=1_234,
            oldest_ts="1672617600.000000",
            latest_ts="1715904000.000000",
            dropped={"too_short": 7, "pasted_log": 0, "new_reason": 1},
        ),
        settings=DatasetSettings(
            days=0,
            max_samples=1,
            channel_samples=1,
            min_characters=1,
            context_tokens=16,
            context_messages=1,
            base_model="tiny",
            base_model_sha256="b" * 64,
        ),
        splits={"train": SplitCard(sample_count=3)},
        context_tokens=LENGTHS,
        response_tokens=LENGTHS,
        response_characters=LENGTHS,
        messages_in_a_row=LENGTHS,
        channels=(ChannelCount(channel_id="C0ENG", name=name, sample_count=3),),
        months={"2024-05": 3},
        hours=tuple([3] + [0] * 23),
    )


def shown(*parts: object) -> str:
    console = Console(file=io.StringIO(), width=160)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_numbers_are_there_in_words() -> None:
    text = shown(*describe(card(), "Ada"))
    assert (
        "Ada: 3 samples from 4 messages in 1 channel, 2023-01-02 to 2024-05-17, 1,234 tokens to learn" in text
    )
    assert "too short" in text
    assert "pasted logs" not in text
    assert "eng" in text


def test_the_largest_reasons_come_first() -> None:
    assert say_dropped({"too_short": 2, "only_link": 30, "command": 0}) == "30 bare links, 2 too short"
    assert say_dropped({}) == ""


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_name_is_taken_for_markup(name: str, channel: str) -> None:
    shown(*describe(card(channel), name))
    assert "[red]" in shown(*describe(card("[red]x"), "y"))


def test_several_messages_in_a_row_are_shown_as_several() -> None:
    sample = Sample(
        turns=(Turn(role="user", content="Bram: [b]and?"),),
        response="one\n\ntwo",
        channel_id="C0ENG",
        ts="1715904000.000000",
    )
    text = shown(panel(1, "train", sample))
    assert "→ one" in text
    assert "→ two" in text
    assert "[b]and?" in text
