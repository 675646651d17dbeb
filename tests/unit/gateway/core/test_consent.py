"""The question, its answer, who may be asked, and how far a training is."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from proto.conversation import Person
from proto.errors import TrainingFailed
from proto.scrape import ScrapeProgress
from proto.train import RunState, TrainProgress, TrainResult
from services.gateway.core.consent import (
    ALLOW,
    DENY,
    OWN,
    Consent,
    render_outcome,
    render_own,
    render_question,
)
from services.gateway.core.people import named, person_of, why_not
from services.gateway.core.progress import render_result, render_scrape, render_train, stage_of
from services.gateway.core.training import select_source

NOW = datetime(2026, 5, 28, tzinfo=UTC)
RUN: dict[str, Any] = {"request_id": uuid4(), "run_id": uuid4(), "team_id": "T1", "user_id": "U1"}


def buttons(post: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for block in post["blocks"] if block["type"] == "actions" for each in block["elements"]]


def test_yes_and_no_weigh_the_same() -> None:
    allow, deny = buttons(render_question("U9", "r1"))
    assert (allow["action_id"], deny["action_id"]) == (ALLOW, DENY)
    assert {key: allow[key] for key in allow if key not in ("action_id", "text")} == {
        key: deny[key] for key in deny if key not in ("action_id", "text")
    }
    assert "style" not in allow


def test_the_question_says_who_asks_what_is_read_and_how_to_stop() -> None:
    text = render_question("U9", "r1")["blocks"][0]["text"]["text"]
    for words in ("<@U9>", "public channels", "Never private channels", "keep", "stop", "AI"):
        assert words in text


def test_a_yes_can_be_taken_back_and_a_no_is_final() -> None:
    assert [each["action_id"] for each in buttons(render_outcome(granted=True, request_id="r1"))] == [DENY]
    assert buttons(render_outcome(granted=False, request_id="r1")) == []


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({}, None),
        ({"is_bot": True}, "bot"),
        ({"id": "USLACKBOT"}, "bot"),
        ({"deleted": True}, "deactivated"),
        ({"is_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"is_stranger": True}, "another workspace"),
        ({"team_id": "T9"}, "another workspace"),
        ({"id": "UBOT"}, "that is me"),
    ],
)
def test_who_may_be_imitated(raw: dict[str, Any], why: str | None) -> None:
    person = person_of({"id": "U1", "team_id": "T1", "name": "ada"} | raw, "T1")
    assert person
    reason = why_not(person, "UBOT")
    assert (reason is None) if why is None else (why in (reason or ""))


def test_null_profiles_are_people_too() -> None:
    assert person_of({"id": "U1", "name": None, "profile": None, "real_name": "Ada"}, "T1") == Person(
        user_id="U1", display_name="Ada"
    )
    assert person_of({"id": "../x"}, "T1") is None


def test_a_name_is_a_handle_first() -> None:
    people = [
        Person(user_id="U1", handle="ada", display_name="Bram"),
        Person(user_id="U2", handle="bram", display_name="Ada"),
        Person(user_id="U3", handle="x", display_name="Chiyo"),
        Person(user_id="U4", handle="y", display_name="chiyo"),
    ]
    assert [each.user_id for each in named(people, "ADA")] == ["U1"]
    assert [each.user_id for each in named(people, "Chiyo")] == ["U3", "U4"]
    assert named(people, "nobody") == []


@pytest.mark.parametrize(
    ("age", "allowed", "source"),
    [
        (None, True, "api"),
        (None, False, "api"),
        (1, True, "corpus:latest"),
        (48, True, "api"),
        (48, False, "corpus:latest"),
    ],
)
def test_where_the_history_comes_from(age: int | None, allowed: bool, source: str) -> None:
    corpus_at = None if age is None else NOW - timedelta(hours=age)
    assert select_source(corpus_at, api_allowed=allowed, max_age=timedelta(days=1), now=NOW) == source


def test_progress_goes_forward() -> None:
    read = ScrapeProgress(request_id=uuid4(), team_id="T1", user_id="U1", stage="reading", step=1200)
    train = TrainProgress(**RUN, stage="training", step=5, total=10, train_loss=4.0, eta_s=200)
    assert stage_of(read) < stage_of(train)
    assert "1,200 messages" in render_scrape(read)["text"]
    text = render_train(train)["text"]
    for words in ("<@U1>", "step 5 of 10", "4.00", "3 min"):
        assert words in text
    assert render_train(TrainProgress(**RUN, stage="queued"))["text"]


def test_the_end_says_what_came_of_it() -> None:
    done = TrainResult(**RUN, state=RunState.PUBLISHED, base_test_loss=5.25, test_loss=3.5)
    assert "5.25 → 3.50" in render_result(done, None)["text"]
    assert render_result(done, "<@U1> said no.")["text"] == "<@U1> said no."
    error = TrainingFailed("The loss is no number.").info()
    assert (
        render_result(TrainResult(**RUN, state=RunState.FAILED, error=error), None)["text"] == error.message
    )
    assert "rejected" in render_result(TrainResult(**RUN, state=RunState.REJECTED), None)["text"]


@pytest.mark.parametrize(
    ("consent", "said", "offered"),
    [
        (None, "neither yes nor no", [ALLOW, DENY]),
        (
            Consent(granted=True, recorded_by="person", recorded_at=NOW),
            "allowed me on 28 May 2026 to",
            [DENY],
        ),
        (
            Consent(granted=True, recorded_by="operator", recorded_at=NOW),
            "2026 (recorded by an operator)",
            [DENY],
        ),
        (Consent(granted=False, recorded_by="person", recorded_at=NOW), "said no on 28 May 2026", [ALLOW]),
    ],
)
def test_people_see_their_own_word_and_can_change_it(
    consent: Consent | None, said: str, offered: list[str]
) -> None:
    post = render_own(consent)
    assert said in post["text"]
    assert [each["action_id"] for each in buttons(post)] == offered
    assert {each["value"] for each in buttons(post)} == {OWN}
