"""The command tree."""

import click

from doppel.cli import (
    command_dead,
    command_demo,
    command_generate,
    command_history,
    command_publish,
    command_setup,
    command_stack,
    command_status,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="doppel")
def cli() -> None:
    """Learns how a colleague writes, with consent, and answers in that voice on your own hardware."""


for module in (
    command_stack,
    command_demo,
    command_status,
    command_setup,
    command_history,
    command_generate,
    command_publish,
    command_dead,
):
    for command in module.COMMANDS:
        cli.add_command(command)


@cli.command("health")
@click.option("--live", is_flag=True, help="Alive, rather than ready.")
def health(*, live: bool) -> None:
    """Exit 0 while this container's service is ready (for health checks)."""
    raise AssertionError(f"main answers this before click is imported (live={live})")
