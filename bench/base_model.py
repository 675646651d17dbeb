"""The small real base model that benches train: prepared once, kept in ``.doppel/bench``."""

from pathlib import Path
from typing import Final

from doppel.basemodel.gguf import convert
from doppel.basemodel.source import wheel_gguf

ROOT: Final = Path(__file__).resolve().parents[1]
CACHE: Final = ROOT / ".doppel" / "bench"


def smollm2() -> Path:
    """Its Hugging Face folder. The tokenizer is written last, so a folder that has it is whole."""
    folder = CACHE / "smollm2"
    if not (folder / "tokenizer.json").exists():
        convert(wheel_gguf(), folder)
    return folder
