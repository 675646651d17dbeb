"""The command tree. A command's module is imported when it is asked for: `doppel status` needs no numpy."""

from importlib import import_module
from typing import Final

import click

MODULES: Final = {
    "up": "command_stack",
    "down": "command_stack",
    "demo": "command_demo",
    "status": "command_status",
    "doctor": "command_status",
    "setup": "command_setup",
    "bus": "command_setup",
    "db": "command_setup",
    "keys": "command_keys",
    "secrets": "command_secrets",
    "import": "command_import",
    "consent": "command_consent",
    "scrape": "command_history",
    "train": "command_history",
    "dataset": "command_dataset",
    "report": "command_report",
    "adapter": "command_adapter",
    "generate": "command_generate",
    "publish": "command_publish",
    "dead": "command_dead",
    "purge": "command_purge",
}


class Lazy(click.Group):
    """A group that finds its commands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one meets them."""
        return [*MODULES, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one that is asked for."""
        if cmd_name not in MODULES:
            return super().get_command(ctx, cmd_name)
        found: tuple[click.Command, ...] = import_module(f"doppel.cli.{MODULES[cmd_name]}").COMMANDS
        return next(command for command in found if command.name == cmd_name)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="doppel")
def cli() -> None:
    """Learns how a colleague writes, with consent, and answers in that voice on your own hardware."""


@cli.command("health")
@click.option("--live", is_flag=True, help="Alive, rather than ready.")
def health(*, live: bool) -> None:
    """Exit 0 while this container's service is ready (for health checks)."""
    raise AssertionError(f"main answers this before click is imported (live={live})")
