"""Who may do what on the bus, derived from `proto.subjects`, and nats-server's configuration that says so.

Services make no streams: `ops` provisions. A service may look through its own queue and take from it, as it does by
serving it. Each hears replies in an inbox of its own, else one service could read what another was told.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proto.subjects import (
    CONSUMERS,
    DEAD_PREFIX,
    GENERATE_REQUEST,
    PURGED,
    RESULT_OF,
    SUBJECTS,
    Subject,
    stream,
    subject_of,
)

OPS: Final = "ops"  # provisioner and command: no bounds inside the account
WATCHER: Final = "playground"  # its panel sees what passes, and says nothing
SERVICES: Final = ("gateway", "scraper", "trainer", "inference")
USERS: Final = (OPS, WATCHER, *SERVICES)
SYSTEM: Final = "sys"
ACCOUNT: Final = "DOPPEL"
SPEAKS_FOR_PEOPLE: Final = "gateway"  # what anyone may send, it sends
PURGER: Final = "gateway"  # it deletes what is about a person, where that lies
CALLS: Final = ("INFO", "MSG.GET", "MSG.DELETE")
WATCHED: Final = ("slack.event", "scrape.>", "train.>", "generate.>", "persona.>", "dead.>")


@dataclass(frozen=True)
class Rights:
    """Subjects that a user may publish to and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox_of(user: str) -> str:
    """The prefix of the subjects on which a user hears replies."""
    return f"_INBOX_{user}"


def rights_of(user: str) -> Rights | None:
    """What a user may; None: everything. Raises KeyError for nobody of ours."""
    if user not in USERS:
        raise KeyError(user)
    if user == OPS:
        return None
    if user == WATCHER:
        return Rights((), (*WATCHED, f"{inbox_of(user)}.>"))
    publish = [subject.name for subject in SUBJECTS if _sends(user, subject)]
    publish += [f"{name}.*" for name in publish if name == GENERATE_REQUEST.name]
    for consumer in CONSUMERS:
        if consumer.service != user:
            continue
        place = f"{consumer.stream}.{consumer.durable}"
        publish += [
            f"$JS.API.CONSUMER.INFO.{place}",
            f"$JS.API.CONSUMER.MSG.NEXT.{place}",
            f"$JS.ACK.{place}.>",
        ]
        publish += [DEAD_PREFIX + name for name in consumer.subjects]
        commands = (subject_of(name) for name in consumer.subjects)
        publish += [RESULT_OF[c.name].name for c in commands if c is not None and c.name in RESULT_OF]
    publish += [f"$JS.API.STREAM.{call}.{name}" for name in streams_of(user) for call in CALLS]
    subscribe = [subject.name for subject in SUBJECTS if _hears(user, subject)]
    return Rights(_once(publish), _once([f"{inbox_of(user)}.>", *subscribe]))


def streams_of(user: str) -> tuple[str, ...]:
    """Streams that a service may look through and delete from: its own queues; the purger, what is about people."""
    queues = [c.stream for c in CONSUMERS if c.service == user and stream(c.stream).work_queue]
    return _once([*queues, *(PURGED if user == PURGER else ())])


def _sends(user: str, subject: Subject) -> bool:
    return user in subject.senders or ("anyone" in subject.senders and user == SPEAKS_FOR_PEOPLE)


def _hears(user: str, subject: Subject) -> bool:
    """On core NATS; what lies in a stream comes through a durable, unless it is also heard as it passes."""
    return user in subject.heard_live_by or (subject.stream is None and user in subject.readers)


def _once(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def server_config(
    passwords: Mapping[str, str], *, listen: str, monitor: str, store_dir: str, sync: bool = True
) -> str:
    """nats-server's configuration. `passwords`: one per user and for `sys`; `listen`, `monitor`: host:port.

    `sync`: every acknowledged message is on the disk, as it must be outside tests. The monitor knows no passwords:
    never publish its port.
    """
    users = ",\n      ".join(_user(user, passwords[user]) for user in USERS)
    return f"""server_name: doppel
listen: {listen}
http: {monitor}
max_payload: 1MB
jetstream {{
  store_dir: {json.dumps(store_dir)}
  sync_interval: {"always" if sync else "2m"}
  max_file_store: 10GB
}}
accounts {{
  SYS: {{ users: [ {{ user: {SYSTEM}, password: {json.dumps(passwords[SYSTEM])} }} ] }}
  {ACCOUNT}: {{
    jetstream: enabled
    users: [
      {users}
    ]
  }}
}}
system_account: SYS
"""


def _user(user: str, password: str) -> str:
    login = f"user: {user}, password: {json.dumps(password)}"
    rights = rights_of(user)
    if rights is None:
        return f"{{ {login} }}"
    publish = f"{{ allow: {json.dumps(rights.publish)} }}" if rights.publish else '{ deny: [">"] }'
    subscribe = f"{{ allow: {json.dumps(rights.subscribe)} }}"
    return f"{{ {login}, permissions: {{ publish: {publish}, subscribe: {subscribe} }} }}"
