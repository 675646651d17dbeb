"""``doppel health`` runs every few seconds in every container: it must cost nothing."""

import subprocess
import sys

HEAVY = ("pydantic", "click", "rich", "nats", "asyncio", "aiohttp")


def test_it_imports_next_to_nothing() -> None:
    code = "import sys; sys.argv = ['doppel', 'health']; from doppel.cli.main import main; main(); " + (
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.stdout.strip() == "[]"
    assert "DOPPEL_HEALTH_PORT" in ended.stderr
