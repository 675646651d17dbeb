"""``doppel setup · bus apply · db migrate``: what must be there before the services start."""

import tempfile
from pathlib import Path
from typing import Final

import click
from pydantic import Field, SecretStr

from doppel.basemodel.prepare import prepare
from doppel.bus import provision
from doppel.cli import options
from doppel.cli.target import Target
from doppel.cli.terminal import Terminal, run
from doppel.local.home import Home
from doppel.local.settings import LocalSettings
from doppel.migrate import migrate
from doppel.settings import BusSettings, DatabaseSettings, DoppelSettings
from doppel.storage import Storage


class RolePasswords(DoppelSettings):
    """What `doppel db migrate` gives the roles."""

    gateway_db_password: SecretStr | None = Field(default=None, description="Password of the role `gateway`.")
    scraper_db_password: SecretStr | None = Field(default=None, description="Password of the role `scraper`.")
    trainer_db_password: SecretStr | None = Field(default=None, description="Password of the role `trainer`.")
    inference_db_password: SecretStr | None = Field(
        default=None, description="Password of the role `inference`."
    )
    reader_db_password: SecretStr | None = Field(default=None, description="Password of the role `reader`.")

    def by_role(self) -> dict[str, str]:
        """Those that are set."""
        found = {name.removesuffix("_db_password"): value for name, value in self}
        return {role: value.get_secret_value() for role, value in found.items() if value is not None}


@click.command()
@options.json_line
def setup(*, as_json: bool) -> None:
    """Streams, tables and roles, the bucket, the base model. Safe to repeat."""

    async def work(terminal: Terminal) -> None:
        target = Target.find()
        await _apply(target, terminal)
        await _migrate(target, terminal)
        storage = Storage(target.storage)
        try:
            await storage.ensure_bucket()
            terminal.say("The bucket is there.")
            with tempfile.TemporaryDirectory() as folder:
                manifest = await prepare(storage, LocalSettings.read().base_model, Path(folder))
        finally:
            storage.close()
        terminal.say(f"Base model {manifest.name} is in the bucket.")
        terminal.done(base_model=manifest.name, sha256=manifest.content_sha256)

    run(work, as_json=as_json)


@click.group()
def bus() -> None:
    """The bus."""


@bus.command("apply")
@options.json_line
def apply(*, as_json: bool) -> None:
    """Make the streams and durables, or bring them up to date."""

    async def work(terminal: Terminal) -> None:
        await _apply(Target.find(), terminal)
        terminal.done()

    run(work, as_json=as_json)


@click.group()
def db() -> None:
    """The database."""


@db.command("migrate")
@options.json_line
def migrate_(*, as_json: bool) -> None:
    """Make roles and schemas, and apply the migrations that are missing."""

    async def work(terminal: Terminal) -> None:
        terminal.done(applied=await _migrate(Target.find(), terminal))

    run(work, as_json=as_json)


async def _apply(target: Target, terminal: Terminal) -> None:
    ack_wait_s = BusSettings.read().ack_wait_s
    await provision.apply(target.bus.model_copy(update={"ack_wait_s": ack_wait_s}))
    terminal.say("Streams and durables are there.")


async def _migrate(target: Target, terminal: Terminal) -> list[str]:
    settings = DatabaseSettings.read()
    if "postgres_dsn" in settings.model_fields_set:
        dsn, passwords = settings.postgres_dsn.get_secret_value(), RolePasswords.read().by_role()
    else:
        stack = target.stack("DOPPEL_POSTGRES_DSN")
        dsn, passwords = stack.postgres_dsn, Home(LocalSettings.read().home).secrets().role_passwords
    applied = await migrate(dsn, passwords)
    terminal.say(f"Tables and roles are there ({len(applied)} migrations applied).")
    return applied


COMMANDS: Final[tuple[click.Command, ...]] = (setup, bus, db)
