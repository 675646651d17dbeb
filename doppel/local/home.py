"""The state folder ``.doppel/``: where everything of one local stack lies, its secrets and its ports."""

import contextlib
import fcntl
import json
import random
import secrets
import socket
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from doppel.bucket_access import ADMIN, RIGHTS
from doppel.bus.access import SYSTEM, USERS
from doppel.local.files import write_private
from doppel.secrets import new_key

SERVICES: Final = ("gateway", "scraper", "trainer", "inference")
PORTS: Final = (20_000, 32_000)
"""Below the kernel's own range: there a client that reconnects while a server restarts may get the server's port
as its source, and take it (or even connect to itself)."""


class StackAlreadyRuns(Exception):
    """Another `doppel up` holds this state folder."""


def _password() -> str:
    return secrets.token_urlsafe(24)


class Secrets(BaseModel):
    """Made once; what a later release adds is made when it first reads them."""

    nats_passwords: dict[str, str] = Field(
        default_factory=lambda: {name: _password() for name in (*USERS, SYSTEM)}, repr=False
    )
    postgres_password: str = Field(default_factory=_password, repr=False)
    role_passwords: dict[str, str] = Field(
        default_factory=lambda: {name: _password() for name in (*SERVICES, "reader")}, repr=False
    )
    s3_secret_key: str = Field(default_factory=_password, repr=False)
    s3_secret_keys: dict[str, str] = Field(
        default_factory=lambda: {name: _password() for name in RIGHTS}, repr=False
    )
    signing_secret: str = Field(default_factory=lambda: secrets.token_hex(16), repr=False)
    bot_token: str = Field(default_factory=lambda: f"xoxb-local-{secrets.token_hex(12)}", repr=False)
    app_token: str = Field(default_factory=lambda: f"xapp-local-{secrets.token_hex(12)}", repr=False)
    encryption_key: str = Field(default_factory=new_key, repr=False)

    @field_validator("nats_passwords", "role_passwords", "s3_secret_keys")
    @classmethod
    def _complete(cls, found: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        """Somebody who came later gets a password too."""
        made = cls.model_fields[info.field_name or ""].get_default(call_default_factory=True)
        return {**made, **found}

    @property
    def s3_keys(self) -> dict[str, str]:
        """Secret key by access key, the administrator's too."""
        return {ADMIN: self.s3_secret_key, **self.s3_secret_keys}

    @classmethod
    def kept_in(cls, path: Path) -> Self:
        """Read them, or make them the first time."""
        text = path.read_text() if path.exists() else "{}"
        found = cls.model_validate_json(text)
        whole = found.model_dump_json(indent=1)
        if whole != text:
            write_private(path, whole)
        return found


@dataclass(frozen=True)
class Home:
    """One state folder."""

    path: Path

    @property
    def log(self) -> Path:
        """One file per child."""
        return self.path / "log"

    @property
    def run(self) -> Path:
        """Who runs; for the `up` after a crash."""
        return self.path / "run"

    @property
    def data(self) -> Path:
        """What the three servers keep."""
        return self.path / "data"

    @property
    def cache(self) -> Path:
        """What services may lose."""
        return self.path / "cache"

    @property
    def endpoints(self) -> Path:
        """Every address and credential of the running stack."""
        return self.path / "endpoints.json"

    def log_of(self, name: str) -> Path:
        """Where that child writes."""
        return self.log / f"{name}.log"

    def make(self) -> None:
        """Make the folders, for the owner only."""
        for folder in (self.path, self.log, self.run, self.data, self.cache):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def secrets(self) -> Secrets:
        """Read them, or make them the first time."""
        return Secrets.kept_in(self.path / "secrets.json")

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Hold the folder. Raises StackAlreadyRuns."""
        with (self.run / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StackAlreadyRuns(
                    f"A stack already runs in {self.path}. Stop it with `doppel down` first."
                ) from error
            yield


class Ports:
    """Ports by name, the same again at the next start where they are still free."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken: dict[str, int] = {}
        try:
            self._kept: dict[str, int] = json.loads(path.read_text())
        except (OSError, ValueError):
            self._kept = {}

    def pick(self, name: str, default: int | None = None) -> int:
        """The default where it is free, else the port of last time, else a free one."""
        if name in self._taken:
            return self._taken[name]
        wanted = (default, self._kept.get(name))
        port = next((port for port in wanted if port and self._may_take(port)), None) or self._any()
        self._taken[name] = port
        write_private(self._path, json.dumps(self._kept | self._taken, indent=1))
        return port

    def _any(self) -> int:
        for _ in range(1000):
            port = random.randrange(*PORTS)  # noqa: S311  not a secret
            if self._may_take(port):
                return port
        raise OSError("no free port between 20000 and 32000")

    def _may_take(self, port: int) -> bool:
        return port not in self._taken.values() and is_free(port)


def is_free(port: int) -> bool:
    """Can somebody listen there?"""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # the last owner's closed connections don't count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
