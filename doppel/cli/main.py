"""The console script. `doppel health` runs every few seconds in every container, so it imports next to nothing."""

import sys


def main() -> int:
    """Run the command; returns the exit code."""
    if sys.argv[1:2] == ["health"]:
        from doppel.cli.health import health

        return health(sys.argv[2:])
    from doppel.cli.root import cli

    cli(prog_name="doppel")
    return 0
