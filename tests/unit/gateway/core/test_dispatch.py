"""Which questions go out, and what an unseen post means."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.dispatch import (
    MOST_SENDS,
    Dispatch,
    Load,
    Resolution,
    may_send,
    resolve_unseen,
    select_to_send,
)
from services.gateway.core.outbox import Key, OutboxRow

NOW = datetime(2026, 5, 28, tzinfo=UTC)


def row(**fields: Any) -> OutboxRow:
    plain: dict[str, Any] = {
        "key": Key("A1", "C1", "1.000001"), "team_id": "T1", "kind": "reply", "request_id": uuid4(),
        "user_id": None, "asked_by": "U1", "thread_ts": None, "trigger_ts": None, "note": None,
        "state": "pending", "attempt": 1, "fence": 1, "message_ts": None, "created_at": NOW,
        "deadline_at": NOW + timedelta(seconds=60), "age_s": 0.0, "response_url": None, "body": None,
        "question": None, "replaces": None, "run_id": None,
        "stream": None, "stream_ts": None, "stream_name": None, "stream_at": None,
    }  # fmt: skip
    return OutboxRow(**plain | fields)


def test_past_its_deadline_a_question_is_not_asked() -> None:
    assert may_send(row(deadline_at=NOW), Load(0, 0, 8, 60), NOW) is Dispatch.EXPIRED


@given(
    st.lists(st.integers(-60, 60), max_size=20), st.integers(0, 20), st.integers(0, 40), st.integers(1, 8),
    st.integers(1, 40),
)  # fmt: skip
def test_never_more_than_the_limits_is_out(
    offsets: list[int], outstanding: int, last_minute: int, limit: int, a_minute: int
) -> None:
    rows = [row(deadline_at=NOW + timedelta(seconds=offset)) for offset in offsets]
    chosen = select_to_send(rows, Load(outstanding, last_minute, limit, a_minute), NOW)
    room = max(0, min(limit - outstanding, a_minute - last_minute))
    alive = [each for each in rows if each.deadline_at and each.deadline_at > NOW]
    assert chosen == alive[:room]


@given(st.floats(0, 200_000), st.integers(1, 6), st.floats(1, 200))
def test_nothing_is_sent_again_before_it_could_be_seen(age_s: float, attempt: int, settle_s: float) -> None:
    decision = resolve_unseen(row(age_s=age_s, attempt=attempt), settle_s=settle_s)
    if decision is Resolution.SEND_AGAIN:
        assert age_s >= settle_s
        assert attempt < MOST_SENDS
    if age_s > 24 * 3600:
        assert decision is Resolution.GIVE_UP
