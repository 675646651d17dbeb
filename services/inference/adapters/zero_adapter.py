"""An adapter that changes nothing: what requests without a persona are generated with."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from proto.artifacts import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE
from services.inference.core.shape import BaseShape

PROJECTION = "self_attn.q_proj"


def write_zero_adapter(folder: Path, shape: BaseShape) -> None:
    """Write it (blocking): one projection of one layer, B all zero."""
    rows, columns = shape.projection(PROJECTION) or (0, 0)
    prefix = f"base_model.model.model.layers.0.{PROJECTION}"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {
            f"{prefix}.lora_A.weight": np.zeros((1, columns), np.float32),
            f"{prefix}.lora_B.weight": np.zeros((rows, 1), np.float32),
        },
        folder / ADAPTER_WEIGHTS_FILE,
    )
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 1, "lora_alpha": 1, "bias": "none"}
    config["target_modules"] = ["q_proj"]
    (folder / ADAPTER_CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
