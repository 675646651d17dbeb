"""What each child is told: addresses and its own credentials, nothing of another's."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from doppel.local.child import Child
from doppel.local.home import Home, Ports
from doppel.local.servers import Servers
from doppel.local.services import Fleet
from doppel.local.settings import LocalSettings
from doppel.local.supervisor import Supervisor


def fleet(folder: Path, scale: dict[str, int] | None = None, **settings: object) -> Fleet:
    home = Home(folder / "state")
    home.make()
    servers = Servers(home, home.secrets(), Ports(home.path / "ports.json"), Supervisor(home))
    return Fleet(servers, LocalSettings.model_validate(settings), scale or {})


def children(of: Fleet) -> dict[str, Child]:
    return {child.name: child for child in of.children()}


def test_replicas_are_numbered_and_listen_apart(tmp_path: Path) -> None:
    two = fleet(tmp_path, {"gateway": 2, "inference": 2})
    assert two.replicas == ("gateway-1", "gateway-2", "scraper-1", "trainer-1", "inference-1", "inference-2")
    assert len(set(two.gateway_urls)) == 2
    assert len(set(two.metrics().values())) == len(two.replicas)


def test_a_service_knows_no_other_s_database_password(tmp_path: Path) -> None:
    found = fleet(tmp_path)
    passwords = found.servers.secrets.role_passwords
    for name, child in children(found).items():
        own = name.rpartition("-")[0]
        told = {role for role, password in passwords.items() if password in " ".join(child.env.values())}
        assert told == ({own} if own else set())


def test_only_who_speaks_to_slack_gets_its_token_and_keys(tmp_path: Path) -> None:
    told = {
        name for name, child in children(fleet(tmp_path)).items() if "DOPPEL_ENCRYPTION_KEYS" in child.env
    }
    assert told == {"gateway-1", "scraper-1"}


def test_the_playground_s_history_may_be_read_and_nobody_else_s(tmp_path: Path) -> None:
    made_up = children(fleet(tmp_path / "a"))
    assert made_up["scraper-1"].env["DOPPEL_TRAIN_ON_SLACK_API"] == "i-have-slacks-permission"
    real = fleet(tmp_path / "b", slack_bot_token=SecretStr("xoxb-1"), slack_signing_secret=SecretStr("s"))
    assert "playground" not in children(real)
    assert "DOPPEL_TRAIN_ON_SLACK_API" not in children(real)["scraper-1"].env
    assert "DOPPEL_SLACK_API_URL" not in children(real)["gateway-1"].env


def test_the_scraper_is_as_fast_as_the_playground_allows_and_keeps_slacks_limits_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pace(folder: str, **settings: SecretStr) -> str | None:
        return children(fleet(tmp_path / folder, None, **settings))["scraper-1"].env.get(
            "DOPPEL_SLACK_RATE_SCALE"
        )

    assert pace("a") == "1000"
    monkeypatch.setenv("DOPPEL_PLAYGROUND_RATE_LIMITS", "slack")
    assert pace("b") == "1"
    monkeypatch.setenv("DOPPEL_PLAYGROUND_CLOCK_SCALE", "60")
    assert pace("c") == "60"
    real = {"slack_bot_token": SecretStr("xoxb-1"), "slack_signing_secret": SecretStr("s")}
    assert pace("d", **real) is None


def test_a_public_address_is_kept(tmp_path: Path) -> None:
    found = fleet(tmp_path, public_url="https://doppel.example")
    assert children(found)["gateway-1"].env["DOPPEL_PUBLIC_URL"] == "https://doppel.example"


@pytest.mark.parametrize("name", ["gateway-1", "trainer-1"])
def test_a_service_gets_longer_to_stop_than_it_drains(tmp_path: Path, name: str) -> None:
    child = children(fleet(tmp_path))[name]
    assert child.stop_s > float(child.env["DOPPEL_GRACEFUL_TIMEOUT_S"])
