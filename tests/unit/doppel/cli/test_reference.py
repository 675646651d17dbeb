"""The page of commands comes from their help texts."""

from doppel.cli.reference import commands_page
from doppel.cli.root import MODULES


def test_every_command_is_on_it() -> None:
    page = commands_page("Generated.")
    for name in MODULES:
        assert f"`doppel {name}" in page
    assert "| `--team T…` | required | The workspace. |" in page
    assert "Sentinel" not in page
