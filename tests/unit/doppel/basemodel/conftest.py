from pathlib import Path

import pytest

from doppel.basemodel.prompt import PromptEncoder
from doppel.basemodel.tiny import write_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, with SmolLM2's tokenizer."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(tiny: Path) -> PromptEncoder:
    return PromptEncoder.from_folder(tiny)
