"""Which code trained an adapter: the release, and a hash over what decides the weights."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

ROOM: Final = Path(__file__).resolve().parent.parent


def code_version() -> str:
    """``0.1.0+3f9a…``: the same files, the same text, with or without a repository (blocking, at start)."""
    digest = hashlib.sha256()
    for path in sorted([*ROOM.glob("recipe/*.py"), *ROOM.glob("core/*.py")]):
        digest.update(f"{path.parent.name}/{path.name}\n".encode())
        digest.update(path.read_bytes())
    try:
        release = version("doppel")
    except PackageNotFoundError:  # run from a checkout that is not installed
        release = "0"
    return f"{release}+{digest.hexdigest()[:12]}"
