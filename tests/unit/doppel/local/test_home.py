"""The state folder: secrets once, ports again, one stack at a time."""

import json
import socket
from pathlib import Path

import pytest

from doppel.local.home import PORTS, Home, Ports, StackAlreadyRuns


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "state")
    home.make()
    first = home.secrets()
    assert home.secrets() == first
    assert (home.path / "secrets.json").stat().st_mode & 0o777 == 0o600
    made = [*first.nats_passwords.values(), first.postgres_password, *first.role_passwords.values()]
    assert not any(secret in repr(first) for secret in made)
    assert len(set(made)) == len(made)


def test_whoever_comes_later_gets_a_password_and_the_others_keep_theirs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = home.secrets()
    older = first.model_dump()
    gone = older["role_passwords"].pop("trainer")
    del older["nats_passwords"]
    (tmp_path / "secrets.json").write_text(json.dumps(older))
    now = home.secrets()
    assert now.role_passwords["trainer"] != gone
    assert now.role_passwords["gateway"] == first.role_passwords["gateway"]
    assert set(now.nats_passwords) == set(first.nats_passwords)
    assert home.secrets() == now


def test_a_port_stays_the_same_at_the_next_start(tmp_path: Path) -> None:
    first = Ports(tmp_path / "ports.json")
    port = first.pick("nats")
    assert PORTS[0] <= port < PORTS[1]
    assert first.pick("nats") == port
    assert Ports(tmp_path / "ports.json").pick("nats") == port


def test_two_names_never_share_a_port(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")
    picked = [ports.pick(f"child-{number}") for number in range(50)]
    assert len(set(picked)) == 50


def test_a_busy_default_gives_way_to_a_free_port(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert Ports(tmp_path / "ports.json").pick("gateway-1", taken) != taken


def test_one_folder_holds_one_stack(tmp_path: Path) -> None:
    home = Home(tmp_path / "state")
    home.make()
    with home.locked(), pytest.raises(StackAlreadyRuns, match="doppel down"), Home(home.path).locked():
        pass
    with home.locked():
        pass
