"""``doppel secrets write``: every password and key of a deployment, each where its one container finds it."""

from pathlib import Path
from typing import Final

import click
from pydantic import Field, SecretStr

from doppel.bucket_access import ADMIN, OPS, seaweed_identities
from doppel.bus.access import SYSTEM, WATCHER, server_config
from doppel.cli import options
from doppel.cli.terminal import Failure, Terminal, run
from doppel.local.home import SERVICES, Secrets
from doppel.settings import SLACKS_PERMISSION, DoppelSettings, StorageSettings

READER: Final = "reader"
NO_LIMITS: Final = "1000"  # the playground keeps no rate limits
BUS: Final = "0.0.0.0:4222"
MONITOR: Final = "0.0.0.0:8222"
READABLE: Final = 0o444  # each folder is one container's alone, whatever user runs in it


class GivenSecrets(DoppelSettings):
    """What the operator brings; everything else is made up here."""

    slack_bot_token: SecretStr = Field(default=SecretStr(""), description="As the gateway reads it.")
    slack_signing_secret: SecretStr = Field(default=SecretStr(""), description="As the gateway reads it.")
    slack_app_token: SecretStr = Field(default=SecretStr(""), description="As the gateway reads it.")
    slack_client_secret: SecretStr = Field(default=SecretStr(""), description="As the gateway reads it.")
    encryption_keys: SecretStr = Field(default=SecretStr(""), description="Absent: one is made.")
    hf_token: SecretStr = Field(
        default=SecretStr(""), description="Hugging Face's, for a base model that needs one."
    )


@click.group()
def secrets() -> None:
    """Passwords and keys."""


@secrets.command("write")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--playground", metavar="URL", help="Where no Slack is given, play with this one.")
@options.json_line
def write(folder: Path, playground: str | None, *, as_json: bool) -> None:
    """Write one folder per container below FOLDER. What was made once stays; `master/` remembers it."""

    async def work(terminal: Terminal) -> None:
        given, bucket = GivenSecrets.read(), StorageSettings.read().s3_bucket
        try:
            made = Secrets.kept_in(folder / "master" / "secrets.json")
            found = files(made, given, bucket, playground=playground)
            for path, text in found.items():
                _replace(folder / path, text)
        except OSError as error:
            raise Failure(f"{error.filename} can't be written: {error.strerror}.", code="io") from error
        terminal.say(f"{len(found)} secrets are in {folder}.")
        terminal.done(files=sorted(found))

    run(work, as_json=as_json)


def files(
    made: Secrets, given: GivenSecrets, bucket: str, *, playground: str | None = None
) -> dict[str, str]:
    """Path → content. A real Slack's token wins over the playground."""
    plays = playground is not None and not given.slack_bot_token.get_secret_value()
    found = {
        "nats/nats.conf": server_config(
            made.nats_passwords, listen=BUS, monitor=MONITOR, store_dir="/data/jetstream"
        ),
        "postgres/postgres_password": made.postgres_password,
        "s3/s3_root_password": made.s3_keys[ADMIN],
        "s3/s3.json": seaweed_identities(made.s3_keys, bucket),
        "playground/nats_password": made.nats_passwords[WATCHER],
        "playground/signing_secret": made.signing_secret,
        "playground/bot_token": made.bot_token,
        "playground/app_token": made.app_token,
    }
    for service in SERVICES:
        found[f"{service}/nats_password"] = made.nats_passwords[service]
        found[f"{service}/postgres_password"] = made.role_passwords[service]
        found[f"{service}/s3_secret_key"] = made.s3_keys[service]
    found |= {
        "ops/nats_password": made.nats_passwords[OPS],
        "ops/postgres_password": made.role_passwords[READER],
        "ops/s3_secret_key": made.s3_keys[OPS],
    }
    return found | _of_setup(made, given) | _of_slack(made, given, playground if plays else None)


def _of_setup(made: Secrets, given: GivenSecrets) -> dict[str, str]:
    found = {
        "setup/nats_password": made.nats_passwords[OPS],
        "setup/nats_system_password": made.nats_passwords[SYSTEM],
        "setup/postgres_password": made.postgres_password,
        "setup/s3_secret_key": made.s3_keys[ADMIN],
        "setup/encryption_keys": _keys(made, given),
        "setup/hf_token": given.hf_token.get_secret_value(),
    }
    found |= {f"setup/{role}_db_password": password for role, password in made.role_passwords.items()}
    return found | {f"setup/{user}_s3_secret_key": key for user, key in made.s3_secret_keys.items()}


def _of_slack(made: Secrets, given: GivenSecrets, playground: str | None) -> dict[str, str]:
    """A file that is empty says nothing: then Slack's own address and the operator's settings count."""
    token, signing = given.slack_bot_token.get_secret_value(), given.slack_signing_secret.get_secret_value()
    api = permission = scale = ""
    if playground is not None:  # its people are made up, so their history may be learnt from
        api, permission, scale = f"{playground.rstrip('/')}/api/", SLACKS_PERMISSION, NO_LIMITS
        token, signing = made.bot_token, made.signing_secret
    return {
        "gateway/slack_bot_token": token,
        "gateway/slack_signing_secret": signing,
        "gateway/slack_app_token": given.slack_app_token.get_secret_value(),
        "gateway/slack_client_secret": given.slack_client_secret.get_secret_value(),
        "gateway/encryption_keys": _keys(made, given),
        "gateway/slack_api_url": api,
        "gateway/train_on_slack_api": permission,
        "scraper/encryption_keys": _keys(made, given),
        "scraper/slack_api_url": api,
        "scraper/slack_rate_scale": scale,
        "scraper/train_on_slack_api": permission,
        "trainer/train_on_slack_api": permission,
    }


def _keys(made: Secrets, given: GivenSecrets) -> str:
    return given.encryption_keys.get_secret_value() or made.encryption_key


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: a container may read it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.write_text(text)
    new.chmod(READABLE)
    new.replace(path)


COMMANDS: Final[tuple[click.Command, ...]] = (secrets,)
