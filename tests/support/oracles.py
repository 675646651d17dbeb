"""Other people's code that reads what we write: transformers a base model, PEFT an adapter on it."""

import importlib
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers


def read_by_transformers(folder: Path) -> Any:
    """The model of an ordinary folder, in fp32."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def read_by_peft(base: Path, adapter: Path) -> Any:
    """The base model with an adapter's folder on top."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It refuses torchao 0.15, which torchtune needs, as soon as it wraps a Linear; no layer here is torchao's.
        importlib.import_module("peft.tuners.lora.torchao").is_torchao_available = lambda: False
        peft = importlib.import_module("peft")
        return peft.PeftModel.from_pretrained(read_by_transformers(base), adapter).eval()
