"""What each user of the bus may: derived, so that a new subject has its rights by being written down."""

import pytest

from doppel.bus.access import (
    CALLS,
    OPS,
    SERVICES,
    SYSTEM,
    USERS,
    WATCHER,
    inbox_of,
    rights_of,
    server_config,
    streams_of,
)
from proto.subjects import CONSUMERS, STREAMS, SUBJECTS


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_publish_what_it_sends_and_nothing_that_only_others_send(service: str) -> None:
    rights = rights_of(service)
    assert rights is not None
    for subject in SUBJECTS:
        answers = subject.name.endswith(".result")  # whoever takes a command may refuse it
        if service in subject.senders:
            assert subject.name in rights.publish
        elif "anyone" not in subject.senders and not answers:
            assert subject.name not in rights.publish


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_its_own_durables_and_queues_and_no_management(service: str) -> None:
    rights = rights_of(service)
    assert rights is not None
    own = {f"{c.stream}.{c.durable}" for c in CONSUMERS if c.service == service}
    management = [name for name in rights.publish if name.startswith("$JS.")]
    assert {name.split("$JS.")[1] for name in management} == {
        name
        for place in own
        for name in (f"API.CONSUMER.INFO.{place}", f"API.CONSUMER.MSG.NEXT.{place}", f"ACK.{place}.>")
    } | {f"API.STREAM.{call}.{name}" for name in streams_of(service) for call in CALLS}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_hears_its_own_inbox_only(service: str) -> None:
    rights = rights_of(service)
    assert rights is not None
    assert [name for name in rights.subscribe if name.startswith("_INBOX")] == [f"{inbox_of(service)}.>"]
    assert not {">", "*", "slack.event"} & set(rights.subscribe)


def test_a_service_may_park_whatever_it_takes() -> None:
    for consumer in CONSUMERS:
        rights = rights_of(consumer.service)
        assert rights is not None
        assert {f"dead.{name}" for name in consumer.subjects} <= set(rights.publish)


def test_the_operator_is_not_bounded_and_the_watcher_says_nothing() -> None:
    assert rights_of(OPS) is None
    watcher = rights_of(WATCHER)
    assert watcher is not None
    assert watcher.publish == ()
    with pytest.raises(KeyError):
        rights_of("somebody")


def test_the_configuration_holds_every_user_and_quotes_what_it_is_given() -> None:
    passwords = {user: f'{user}"}}#$' for user in (*USERS, SYSTEM)}
    text = server_config(passwords, listen="0.0.0.0:4222", monitor="127.0.0.1:8222", store_dir="/data")
    for user in (*USERS, SYSTEM):
        assert f'user: {user}, password: "{user}\\"}}#$"' in text
    assert "sync_interval: always" in text


def test_a_service_looks_through_its_own_queue_and_only_the_purger_through_what_is_about_people() -> None:
    for name in (each.name for each in STREAMS if not each.work_queue):
        assert [s for s in SERVICES if name in streams_of(s)] in ([], ["gateway"])
    assert streams_of("trainer") == ("TRAIN_REQUEST", "ADAPTER_REQUEST")
    assert streams_of("inference") == ("GENERATE_REQUEST",)
