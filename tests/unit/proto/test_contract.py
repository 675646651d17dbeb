"""The table of subjects agrees with itself, bodies tolerate the future, hostile ids are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from proto import subjects
from proto.adapter import AdapterRequest
from proto.generate import GenerateRequest
from proto.persona import PersonaRequest
from proto.scrape import ScrapeRequest
from proto.slack import EventCallback, OtherEvent, SlackEvent
from proto.train import TrainRequest

COMMANDS = [ScrapeRequest, TrainRequest, GenerateRequest, PersonaRequest, AdapterRequest]
MINIMAL = {
    ScrapeRequest: {"team_id": "T1", "source": "api"},
    TrainRequest: {"team_id": "T1", "user_id": "U1"},
    GenerateRequest: {"team_id": "T1", "turns": [{"role": "user", "content": "hi"}]},
    AdapterRequest: {"team_id": "T1"},
    PersonaRequest: {"team_id": "T1", "user_id": "U1", "granted": True, "reason": "asked"},
}
MENTION = {
    "kind": "event",
    "team_id": "T1",
    "api_app_id": "A1",
    "event_id": "Ev1",
    "event": {"type": "app_mention", "channel": "C1", "user": "U1", "text": "canary words", "ts": "1.000001"},
}


def test_every_subject_of_a_stream_is_in_its_stream() -> None:
    for subject in subjects.SUBJECTS:
        if subject.stream:
            assert subject.name in subjects.stream(subject.stream).subjects


def test_every_durable_filters_subjects_of_its_stream() -> None:
    for consumer in subjects.CONSUMERS:
        assert set(consumer.subjects) <= set(subjects.stream(consumer.stream).subjects)
        assert consumer.max_ack_pending >= consumer.loops


def test_every_command_has_a_result_but_what_slack_delivers() -> None:
    queues = {
        name
        for stream in subjects.STREAMS
        if stream.work_queue
        for name in stream.subjects
        if "*" not in name
    }
    assert queues - {"slack.event"} == set(subjects.RESULT_OF)


@pytest.mark.parametrize(
    ("concrete", "name"),
    [
        ("generate.request.17", "generate.request"),
        ("generate.request", "generate.request"),
        ("generate.token.5", "generate.token.*"),
        ("train.cancel.x", "train.cancel.*"),
        ("train.requests", None),
        ("train.request.x", None),
        ("nothing", None),
    ],
)
def test_a_concrete_subject_finds_its_entry(concrete: str, name: str | None) -> None:
    found = subjects.subject_of(concrete)
    assert (found.name if found else None) == name


@pytest.mark.parametrize("model", COMMANDS)
def test_optional_fields_have_defaults_and_unknown_ones_are_ignored(model: type) -> None:
    assert model.model_validate({**MINIMAL[model], "from_the_future": 1})


@pytest.mark.parametrize("model", COMMANDS)
@given(hostile=st.sampled_from(["../../x", "", "T1/..", "T1\n", "t1", "T1;drop", "T" * 99, "T\u0661"]))
def test_hostile_ids_are_refused(model: type, hostile: str) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({**MINIMAL[model], "team_id": hostile})


@pytest.mark.parametrize(
    "source", ["export:../../x", "export:workspaces/T1/exports/../x.zip", "file:///etc/passwd", ""]
)
def test_a_source_names_an_upload_or_nothing(source: str) -> None:
    with pytest.raises(ValidationError):
        ScrapeRequest(team_id="T1", source=source)


def test_no_repr_and_no_error_shows_what_was_said() -> None:
    event = SlackEvent.model_validate({"payload": MENTION})
    assert "canary" not in repr(event)
    request = GenerateRequest.model_validate(
        {"team_id": "T1", "turns": [{"role": "user", "content": "canary"}]}
    )
    assert "canary" not in repr(request)
    with pytest.raises(ValidationError) as caught:
        GenerateRequest.model_validate({"team_id": "T1", "turns": [{"role": "canary", "content": "canary"}]})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("kind", ["message_changed", "message_deleted"])
def test_changes_are_events_nobody_answers(kind: str) -> None:
    event = {"type": "message", "subtype": kind, "channel": "C1", "message": {"user": "U1"}, "ts": "1.000001"}
    parsed = SlackEvent.model_validate({"payload": {**MENTION, "event": event}})
    for each in (parsed, SlackEvent.model_validate_json(parsed.model_dump_json(exclude_none=True))):
        assert isinstance(each.payload, EventCallback)
        assert isinstance(each.payload.event, OtherEvent)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_payload_raises_anything_but_a_validation_error(payload: object) -> None:
    for model in (SlackEvent, *COMMANDS):
        try:
            model.model_validate(payload)
        except ValidationError:
            continue
