"""Debates end, each turn is one answer, and the engine is asked with somebody else's words last."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.debate import (
    STOP,
    Advance,
    Debate,
    End,
    Speak,
    Wait,
    next_step,
    render_end,
    render_root,
    says_stop,
    turns_of_debate,
)
from services.gateway.core.routing import Bot
from tests.unit.gateway.core.test_dispatch import row

BOT = Bot("T1", "A1", "UBOT", "B1")
NAMES = {"U1": "Ada", "U2": "Grace", "U3": "Dev"}
DEBATE = Debate(UUID(int=7), "A1", "T1", "C1", "U3", ("U1", "U2"), "tabs?", turns=4, root_ts="1.0")
SENT = row(state="sent", user_id="U1")


def test_each_step_follows_from_what_is_out() -> None:
    assert next_step(DEBATE, None, []) == End("not_posted")
    assert next_step(DEBATE, row(state="failed"), []) == End("not_posted")
    assert next_step(DEBATE, row(state="sending"), []) == Wait()
    assert next_step(DEBATE, SENT, []) == Speak()
    assert next_step(DEBATE, SENT, [row(state="pending")]) == Wait()
    assert next_step(DEBATE, SENT, [SENT, row(state="pending")]) == Wait()
    assert next_step(DEBATE, SENT, [SENT, row(state="failed")]) == End("failed")
    assert next_step(DEBATE, SENT, [row(state="sent", user_id=None)]) == End("failed")
    assert next_step(DEBATE, SENT, [SENT, SENT]) == Advance()
    assert next_step(replace(DEBATE, turn=3), SENT, [SENT]) == End("done")


@given(st.integers(1, 50), st.lists(st.sampled_from(["sent", "pending", "sending"]), max_size=300))
def test_it_speaks_as_often_as_agreed_and_ends(turns: int, states: list[Any]) -> None:
    debate, spoken = replace(DEBATE, turns=turns), 0
    parts: list[Any] = []
    for state in [*states, *["sent"] * 3 * turns]:
        match next_step(debate, SENT, parts):
            case Speak():
                spoken += 1
                parts = [row(state=state, user_id=debate.speaker)]
            case Wait():
                parts = [row(state=state, user_id=debate.speaker)]
            case Advance():
                debate, parts = replace(debate, turn=debate.turn + 1), []
            case End(reason):
                assert reason == "done"
                break
    assert spoken == turns


def test_turns_have_ids_of_their_own_and_alternate() -> None:
    each = [replace(DEBATE, turn=number) for number in range(4)]
    assert [debate.speaker for debate in each] == ["U1", "U2", "U1", "U2"]
    assert len({debate.turn_id for debate in each}) == 4
    assert len({debate.turn_key for debate in each} | {DEBATE.root, DEBATE.end}) == 6
    assert all(debate.turn_key.trigger.startswith(f"{DEBATE.root.trigger}:") for debate in each)
    assert not DEBATE.end.trigger.startswith(f"{DEBATE.root.trigger}:")


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.sampled_from(["yes", "no", "<@U1> hm", ""]),
            "user": st.sampled_from(["U1", "U2", "U3", "UBOT"]),
        }
    ),
    max_size=12,
)


@given(MESSAGES, st.data(), st.integers(0, 3))
def test_the_speaker_is_asked_with_somebody_elses_words_last(
    messages: list[dict[str, Any]], data: st.DataObject, turn: int
) -> None:
    thread = [each | {"ts": f"1.{n:06}"} for n, each in enumerate(messages, start=1)]
    ours = [each["ts"] for each in thread if each["user"] == "UBOT"]
    spoken = {ts: data.draw(st.sampled_from(["U1", "U2"])) for ts in ours}
    debate = replace(DEBATE, turn=turn)
    turns = turns_of_debate(debate, thread, spoken, bot=BOT, names=NAMES)
    assert turns[-1].role == "user"
    assert turns[0].content.startswith("Dev: tabs?")


def test_personas_are_told_apart_from_the_people_they_imitate() -> None:
    thread: list[dict[str, Any]] = [
        {"ts": "1.000000", "user": "UBOT", "text": "*Ada (AI) and Grace (AI)* debate: tabs?"},
        {"ts": "1.000001", "bot_id": "B1", "username": "Ada (AI)", "text": "tabs"},
        {"ts": "1.000002", "user": "U1", "text": "I never said that"},
        {"ts": "1.000003", "bot_id": "B1", "username": "Grace (AI)", "text": "spaces"},
        {"ts": "1.000004", "bot_id": "BOTHER", "text": "build failed"},
    ]
    spoken = {"1.000001": "U1", "1.000003": "U2"}
    turns = turns_of_debate(replace(DEBATE, turn=2), thread, spoken, bot=BOT, names=NAMES)
    assert [(each.role, each.content) for each in turns] == [
        ("user", "Dev: tabs?"),
        ("assistant", "tabs"),
        ("user", "Ada: I never said that\nGrace: spaces\napp: build failed"),
    ]


def test_stop_is_a_word() -> None:
    assert says_stop("<@UBOT> please STOP!")
    assert not says_stop("<@UBOT> nonstop, unstoppable")


@given(st.text(max_size=1500))
def test_what_opens_and_ends_it_can_do_nothing_but_be_read(topic: str) -> None:
    debate = replace(DEBATE, topic=topic + " <!channel> <@U9>")
    root = render_root(debate, NAMES)
    end = render_end(debate, NAMES, "stopped", "U3")
    for post in (root, end):
        assert "<!" not in str(post)
        assert "<@U9>" not in str(post)
        assert "AI-generated" in str(post["blocks"])
        assert len(post["text"]) <= 3000
    assert STOP in str(root)
    assert STOP not in str(end)
    assert "Stopped by <@U3>." in str(end)
