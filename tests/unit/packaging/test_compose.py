"""What the compose files and the images promise, read from them. `tests/compose` runs them."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import SecretStr

from docs.generate import ROOMS, settings_classes, variable
from doppel.cli.command_secrets import GivenSecrets, files
from doppel.local.home import SERVICES, Secrets

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE = sorted(DEPLOY.glob("compose*.yaml"))
DOCKERFILES = {file.stem: file.read_text() for file in DEPLOY.glob("images/*.Dockerfile")}
STACK: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CONTAINERS: dict[str, dict[str, Any]] = STACK["services"]
MADE = files(Secrets(), GivenSecrets(), "doppel", playground="http://playground:8090")


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_bounded_and_has_no_powers(name: str) -> None:
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert "cap_add" not in container
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["logging"]["options"]["max-size"]
    assert "container_name" not in container  # it could not be scaled
    ours = container["image"].startswith("${DOPPEL_IMAGES")
    assert ours or int(container["user"].partition(":")[0]) > 0


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_foreign_image_has_a_version(name: str) -> None:
    image = CONTAINERS[name]["image"]
    if not image.startswith("${DOPPEL_IMAGES"):
        assert re.search(r":[\w.-]*\d[\w.-]*\}$", image), image


def test_only_those_who_must_reach_the_outside() -> None:
    outside = {name for name, container in CONTAINERS.items() if "front" in container.get("networks", ())}
    assert outside == {"gateway", "scraper", "setup", "playground"}
    assert STACK["networks"]["back"] == {"internal": True}
    unbound = {n for n, c in CONTAINERS.items() if "networks" not in c and c.get("network_mode") != "none"}
    assert unbound == set()  # those would be on compose's default network


def test_ports_open_on_this_machine_only() -> None:
    ports = [port for container in CONTAINERS.values() for port in container.get("ports", ())]
    assert len(ports) == 2
    assert all(":-127.0.0.1:" in port for port in ports)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_time_to_drain(service: str) -> None:
    given = re.fullmatch(r"\$\{\w+:-(\d+)s\}", CONTAINERS[service]["stop_grace_period"])
    assert given is not None
    fields = settings_classes()[service].model_fields
    drain_s = sum(fields[name].default for name in ("graceful_timeout_s", "linger_s") if name in fields)
    assert int(given[1]) >= drain_s + 15


@pytest.mark.parametrize("service", SERVICES)
def test_every_secret_of_a_service_is_a_file_that_its_folder_holds(service: str) -> None:
    cls, environment = settings_classes()[service], CONTAINERS[service]["environment"]
    secrets = {
        variable(cls, name, field)
        for name, field in cls.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation)) and name != "postgres_dsn"
    }
    assert {f"{name}_FILE" for name in secrets} <= set(environment)
    assert not secrets & set(environment)
    for name, path in environment.items():
        if name.endswith("_FILE"):
            assert f"{service}/{Path(path).name}" in MADE, name


@pytest.mark.parametrize("name", ["setup", "doppel", "playground", "nats", "postgres", "minio"])
def test_the_other_secrets_are_files_too(name: str) -> None:
    folder = {"doppel": "ops", "minio": "s3"}.get(name, name)
    named = re.findall(r"/run/secrets/([\w.]+)", str(CONTAINERS[name]))
    assert named
    assert [each for each in named if f"{folder}/{each}" not in MADE] == []


def test_a_folder_of_secrets_is_in_one_container_only() -> None:
    where: dict[str, list[str]] = {}
    for name, container in CONTAINERS.items():
        for volume in container.get("volumes", ()):
            if isinstance(volume, str) and volume.startswith("secrets-"):
                where.setdefault(volume.partition(":")[0], []).append(name)
    assert {folder.partition("/")[0] for folder in MADE} | {"master"} == {
        volume.removeprefix("secrets-") for volume in where
    }
    for volume, names in where.items():
        readers = [name for name in names if not name.endswith("init")]
        assert len(readers) <= 1, (volume, readers)


def test_every_variable_that_compose_reads_is_explained() -> None:
    texts = [file.read_text() for file in (*COMPOSE, *DEPLOY.glob("env/*.env"))]
    read = set(re.findall(r"\$\{(\w+)", "\n".join(texts)))
    explained = set(re.findall(r"^#(\w+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE))
    assert read - explained == set()


def test_every_variable_of_a_service_reaches_it() -> None:
    for room in ROOMS:
        cls = settings_classes()[room]
        text = (DEPLOY / "env" / f"{room}.env").read_text()
        known = text + str(CONTAINERS[room]["environment"]) + DOCKERFILES[room]
        fixed = {"DOPPEL_S3_REGION", "DOPPEL_S3_SECURE", "DOPPEL_GATEWAY_PORT", "DOPPEL_PLAYGROUND_PORT"}
        fixed |= {"DOPPEL_NATS_PASSWORD"} if room == "playground" else set()  # by a name of its own
        names = {variable(cls, name, field) for name, field in cls.model_fields.items()} - fixed
        assert [
            name for name in names if name not in known and not name.startswith("DOPPEL_PLAYGROUND_CLIENT")
        ] == []


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_holds_its_own_rooms_and_runs_as_nobody_in_particular(name: str) -> None:
    text = DOCKERFILES[name]
    copied = re.findall(r"^COPY (?!--from|deploy/)(\S+)", text, re.MULTILINE)
    own = {
        "setup": {f"services/{s}/migrations/" for s in ("gateway", "scraper", "trainer")},
        "playground": {"playground/"},
    }.get(name, {"services/__init__.py", f"services/{name}/"})
    assert set(copied) == {"proto/", "doppel/"} | own
    assert "\nUSER 10001:10001\n" in text
    assert re.search(r"^FROM \S+:\S*\d", text, re.MULTILINE)


def test_the_context_of_a_build_is_an_allow_list() -> None:
    lines = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    assert next(line for line in lines if line and not line.startswith("#")) == "*"
    assert not any("env" in line for line in lines if line.startswith("!"))
