"""Resolve and pin: ``make lock``. CPU and CUDA apart, then each image under the same constraints; no hosts, no paths.

A pin of ``torch==2.13.0+cpu`` can't be met from PyPI, while ``torch==2.13.0`` accepts the CPU build: the suffix is
stripped, and which build comes is decided by where uv looks (TORCH_BACKEND in the Makefile).
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CPU = ("gateway", "scraper", "trainer", "inference-cpu", "setup", "playground", "local", "dev")
CUDA = ("gateway", "scraper", "trainer", "inference-cuda")
IMAGES = ("gateway", "scraper", "trainer", "inference-cpu", "setup", "playground")


def resolve(extras: tuple[str, ...], out: Path, overrides: Path | None, constraints: Path | None) -> None:
    """Run uv's resolver for a set of extras."""
    command = [
        "-q",
        "--no-header",
        "--no-annotate",
        "--python-version",
        "3.11",
        "pyproject.toml",
        "-o",
        str(out),
    ]
    command += [word for extra in extras for word in ("--extra", extra)]
    command += ["--override", str(overrides)] if overrides else []
    command += ["--constraint", str(constraints)] if constraints else []
    subprocess.run(
        [str(Path(sys.executable).parent / "uv"), "pip", "compile", *command], cwd=ROOT, check=True
    )
    out.write_text("".join(line.replace("+cpu", "") for line in out.read_text().splitlines(keepends=True)))


def main() -> None:
    """Write every file of this folder that is generated."""
    resolve(CPU, HERE / "dev.txt", HERE / "overrides-cpu.txt", None)
    pins = (HERE / "dev.txt").read_text().splitlines(keepends=True)
    (HERE / "constraints-cpu.txt").write_text("".join(pins))
    resolve(CUDA, HERE / "constraints-cuda.txt", None, None)
    for image in IMAGES:  # a subset of what was resolved together, so every image has the same versions
        resolve((image,), HERE / f"{image}.txt", HERE / "overrides-cpu.txt", HERE / "constraints-cpu.txt")
    resolve(("inference-cuda",), HERE / "inference-cuda.txt", None, HERE / "constraints-cuda.txt")


if __name__ == "__main__":
    main()
