"""The voice report in Slack: sentences that anybody understands, and nobody's own words."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from proto.report import Authorship, Example, Measures, Memorisation, Repetition, Style, VoiceReport
from services.gateway.core.report import GOOD, POOR, SAMPLES, heard, picture_of, render_report, shows_file

ID = UUID("11111111-1111-5111-8111-111111111111")


def report(state: str = "published", **changes: Any) -> VoiceReport:
    measures = Measures(
        base_test_loss=3.0,
        test_loss=2.4,
        validation_loss=2.5,
        test_samples=40,
        answers=6,
        style=Style(to_own=0.41, to_others=0.9, base_to_own=1.1),
        authorship=Authorship(generated=0.75, base=0.1, real=0.88, others=0.12, trained_on=300),
        repetition=Repetition(within=0.02, own_within=0.03, identical=0.0, looping=0.0),
        memorisation=Memorisation(overlap_words=4, extracted_words=3, probed=40, canaries=2, canaries_out=0),
    ).model_copy(update=changes)
    return VoiceReport.model_validate(
        {
            "created_at": datetime(2026, 5, 1, tzinfo=UTC), "run_id": ID, "team_id": "T1", "user_id": "U1",
            "dataset_id": ID, "base_model": "tiny", "code_version": "x", "state": state,
            "sentence": "The trained voice recites its training messages.", "measures": measures,
        }
    )  # fmt: skip


def lines(found: VoiceReport, **more: Any) -> list[str]:
    return render_report(found, "Ada", others_answer=more.get("others_answer", False))[0]["text"].split("\n")


def test_each_number_stands_in_a_sentence() -> None:
    head, loss, style, judged, repeats, recites = lines(report())
    assert head == "*How Ada's voice scored:* 5 of 5 checks are good."
    assert "20% better than the plain model" in loss
    assert "loss 3.00 → 2.40; lower is better" in loss
    assert "0.41 away from Ada's own messages, to other people's 0.90; the plain model's 1.10" in style
    assert "takes 75% of its answers for Ada's" in judged
    assert "repeats itself in 2% of what it says (Ada in 3%)." in repeats
    assert "repeated 4 words in a row" in recites
    assert all(line.startswith(GOOD) for line in (loss, style, judged, repeats, recites))


def test_what_is_not_good_is_marked() -> None:
    weak = report(
        style=Style(to_own=1.2, to_others=0.9),
        authorship=Authorship(generated=0.1, real=0.9, others=0.2, trained_on=10),
        repetition=Repetition(within=0.4, own_within=0.03, identical=0.0, looping=0.1),
        memorisation=Memorisation(overlap_words=12, extracted_words=0, probed=4, canaries=0, canaries_out=0),
    )
    head, *checks = lines(weak)
    assert head.endswith("1 of 5 checks are good.")
    assert [line.startswith(POOR) for line in checks] == [False, True, True, True, True]
    assert "10% of its answers end in a loop" in checks[3]


def test_what_was_not_measured_is_not_told() -> None:
    assert len(lines(report(style=None, authorship=None, repetition=None, memorisation=None))) == 2


def test_a_rejected_voice_is_explained_and_not_heard() -> None:
    found = report("rejected", examples=(Example(real="a", generated="something of somebody"),))
    posts = render_report(found, "Ada", others_answer=True)
    assert len(posts) == 1
    told = posts[0]["text"].split("\n")
    assert told[0] == "*Ada's new voice is not used.* The trained voice recites its training messages."
    assert told[1] == "The version before it still answers as Ada."
    assert lines(found)[1] == "Nobody answers as Ada yet."
    assert "something of somebody" not in str(posts)


def test_three_answers_are_heard_and_marked_as_an_ais() -> None:
    examples = tuple(
        Example(real="quite other words", generated=f"answer {n} <!channel> &") for n in range(5)
    )
    _, samples = render_report(report(examples=examples), "Ada", others_answer=False)
    assert [text in str(samples) for text in ("answer 0", "answer 2", "answer 3")] == [True, True, False]
    assert "<!channel>" not in str(samples)
    assert "AI-generated in Ada's style, not written by Ada" in str(samples["blocks"][-1])


def test_what_the_person_really_wrote_there_is_not_shown() -> None:
    real = "well I think that the red boat leaves at noon, does it not?"
    shown = heard(
        report(
            examples=(
                Example(real=real, generated=real.upper()),
                Example(real=real, generated="hm. I think that the red boat leaves at nine"),
                Example(real=real, generated="the boat is red"),
                Example(real="x", generated=" "),
            )
        ).measures
    )
    assert shown == ["the boat is red"]


@given(st.lists(st.tuples(st.text(max_size=900), st.text(max_size=900)), max_size=8), st.text(max_size=120))
def test_any_answer_fits_into_a_message_and_calls_nobody(pairs: list[tuple[str, str]], name: str) -> None:
    examples = tuple(Example(real=real, generated=said) for real, said in pairs)
    for post in render_report(report(examples=examples), name, others_answer=False):
        for block in post["blocks"]:
            for text in [block["text"]] if "text" in block else block["elements"]:
                assert 0 < len(text["text"]) <= 3000
                assert "<" not in text["text"]
        assert len(post["blocks"]) <= SAMPLES + 2


def test_our_own_share_of_a_file_is_recognised_and_nobody_elses() -> None:
    ours = {"user": "UBOT", "files": [{"id": "F1"}]}
    assert shows_file(ours, "F1", user_id="UBOT", bot_id="B1")
    assert shows_file({"bot_id": "B1", "files": [{"id": "F1"}]}, "F1", user_id="UBOT", bot_id="B1")
    assert not shows_file(ours, "F2", user_id="UBOT", bot_id="B1")
    assert not shows_file({"user": "U2", "files": [{"id": "F1"}]}, "F1", user_id="UBOT", bot_id="B1")
    assert not shows_file({"user": "UBOT", "files": [None, 3]}, "F1", user_id="UBOT", bot_id="B1")
    assert not shows_file({"files": None}, "F1", user_id="UBOT", bot_id="")


def test_a_picture_has_words_for_whoever_does_not_see_it() -> None:
    picture = picture_of("a/loss.png", "0" * 64, "Ada")["picture"]
    assert "held-out loss" in picture["alt"]
    assert picture["title"] == "How well Ada's words are foreseen"
