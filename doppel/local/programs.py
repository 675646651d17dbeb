"""Programs that came in wheels."""

import shutil
import sys
from pathlib import Path


def program(name: str) -> str:
    """A program that a wheel put beside our Python. Raises FileNotFoundError with what to do."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; `make install` brings it (extra `local`)")
    return found
