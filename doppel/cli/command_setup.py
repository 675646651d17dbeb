"""``doppel setup · bus apply · db migrate``: what must be there before the services start."""

import tempfile
from pathlib import Path
from typing import Final, Literal

import click
from pydantic import Field, SecretStr

from doppel.basemodel.prepare import prepare
from doppel.bucket_access import RIGHTS
from doppel.bus import provision
from doppel.bus.system import reload_server
from doppel.cli import options
from doppel.cli.target import Target
from doppel.cli.terminal import Terminal, run
from doppel.local.home import Home
from doppel.local.settings import LocalSettings
from doppel.migrate import migrate
from doppel.minio_users import make_users
from doppel.settings import BusSettings, DatabaseSettings, DoppelSettings, SettingsError
from doppel.storage import Storage


class SetupSettings(DoppelSettings):
    """What `doppel setup` makes beside streams, tables and the base model."""

    s3_users: Literal["none", "minio"] = Field(
        default="none",
        description="minio: make one user per service in MinIO, each with the rights it needs. none: they are made "
        "elsewhere.",
    )
    gateway_s3_secret_key: SecretStr | None = Field(default=None, description="Secret key of its S3 user.")
    scraper_s3_secret_key: SecretStr | None = Field(default=None, description="Secret key of its S3 user.")
    trainer_s3_secret_key: SecretStr | None = Field(default=None, description="Secret key of its S3 user.")
    inference_s3_secret_key: SecretStr | None = Field(default=None, description="Secret key of its S3 user.")
    ops_s3_secret_key: SecretStr | None = Field(
        default=None, description="Secret key of the S3 user `ops`: this command's."
    )
    nats_system_password: SecretStr | None = Field(
        default=None, description="Password of the bus's user `sys`; then setup has it read its users again."
    )

    def s3_secret_keys(self) -> dict[str, str]:
        """By user. Raises SettingsError where one is missing."""
        found: dict[str, str] = {}
        for user in RIGHTS:
            key: SecretStr | None = getattr(self, f"{user}_s3_secret_key")
            if key is None:
                raise SettingsError(
                    f"DOPPEL_{user.upper()}_S3_SECRET_KEY is missing; MinIO needs one per user."
                )
            found[user] = key.get_secret_value()
        return found


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
        target, settings = Target.find(), SetupSettings.read()
        if settings.nats_system_password is not None:
            await reload_server(target.bus, settings.nats_system_password)
        await _apply(target, terminal)
        await _migrate(target, terminal)
        storage = Storage(target.storage)
        try:
            await storage.ensure_bucket()
            terminal.say("The bucket is there.")
            if settings.s3_users == "minio":
                await make_users(target.storage, settings.s3_secret_keys())
                terminal.say("Its users are there, one per service.")
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
        dsn, passwords = settings.dsn, RolePasswords.read().by_role()
    else:
        stack = target.stack("DOPPEL_POSTGRES_DSN")
        dsn, passwords = stack.postgres_dsn, Home(LocalSettings.read().home).secrets().role_passwords
    applied = await migrate(dsn, passwords)
    terminal.say(f"Tables and roles are there ({len(applied)} migrations applied).")
    return applied


COMMANDS: Final[tuple[click.Command, ...]] = (setup, bus, db)
