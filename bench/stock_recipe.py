"""torchtune's own single-device LoRA recipe, unpatched: its configuration, and the three parts that it lets one bring.

`tune run lora_finetune_single_device --config F` is what runs; from here it takes the samples (already token ids, so
that both sides learn the same), a tokenizer that only knows its padding, and a logger that notes when a step ended.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SAMPLES_FILE, STEPS_FILE = "samples.json", "steps.jsonl"
BATCH, ACCUMULATED = 4, 2  # the recipe's own micro-batch; together the batch of ours


class Padding:
    """The recipe asks its tokenizer for nothing else, since the samples are token ids."""

    pad_id = 0


class Samples:
    """Samples as the recipe's collate function takes them."""

    def __init__(self, tokenizer: Padding, source: str) -> None:
        self._samples: list[dict[str, list[int]]] = json.loads(Path(source).read_bytes())

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return self._samples[index]


class StepTimes:
    """One line per optimizer step."""

    def __init__(self, log_dir: str) -> None:
        self._file = (Path(log_dir) / STEPS_FILE).open("a")

    def log_config(self, config: Any) -> None:
        """Not needed."""

    def log(self, name: str, data: Any, step: int) -> None:
        """Not needed."""

    def log_dict(self, payload: Mapping[str, Any], step: int) -> None:
        """A step has ended."""
        self._file.write(json.dumps({"step": step, "loss": float(payload["loss"])} | now()) + "\n")
        self._file.flush()

    def close(self) -> None:
        """The run has ended."""
        self._file.close()


def now() -> dict[str, float]:
    """Wall clock and processor seconds, and the peak of this process's memory."""
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"wall_s": time.perf_counter(), "cpu_s": time.process_time(), "peak_bytes": peak_kib * 1024}


def config(base: Path, folder: Path, *, shape: Any, plan: Any, dtype: str) -> dict[str, Any]:
    """The stock configuration with this model, these samples and our run's numbers."""
    return {
        "output_dir": str(folder / "out"),
        "model": {
            "_component_": "torchtune.models.llama3_2.lora_llama3_2",
            "lora_attn_modules": ["q_proj", "k_proj", "v_proj", "output_proj"],
            "apply_lora_to_mlp": True,
            "vocab_size": shape.vocab_size,
            "num_layers": shape.layer_count,
            "num_heads": shape.head_count,
            "num_kv_heads": shape.kv_head_count,
            "embed_dim": shape.hidden_size,
            "max_seq_len": plan.max_seq_len,
            "intermediate_dim": shape.intermediate_size,
            "norm_eps": shape.norm_eps,
            "rope_base": int(shape.rope_base),
            "scale_factor": int(shape.rope_scale),
            "tie_word_embeddings": shape.tied,
            "lora_rank": plan.lora_rank,
            "lora_alpha": plan.lora_alpha,
            "lora_dropout": 0.0,
        },
        "tokenizer": {"_component_": "bench.stock_recipe.Padding"},
        "dataset": {"_component_": "bench.stock_recipe.Samples", "source": str(folder / SAMPLES_FILE)},
        "checkpointer": {
            "_component_": "torchtune.training.FullModelHFCheckpointer",
            "checkpoint_dir": str(base),
            "checkpoint_files": ["model.safetensors"],
            "recipe_checkpoint": None,
            "output_dir": str(folder / "out"),
            "model_type": "LLAMA3_2",
        },
        "resume_from_checkpoint": False,
        "save_adapter_weights_only": True,
        "seed": plan.seed,
        "shuffle": True,
        "batch_size": BATCH,
        "gradient_accumulation_steps": ACCUMULATED,
        "clip_grad_norm": plan.gradient_norm,
        "optimizer": {
            "_component_": "torch.optim.AdamW",
            "fused": True,
            "lr": plan.learning_rate,
            "weight_decay": plan.weight_decay,
            "betas": [0.9, 0.95],
        },
        "lr_scheduler": {
            "_component_": "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup",
            "num_warmup_steps": plan.warmup_steps,
        },
        "loss": {"_component_": "torchtune.modules.loss.CEWithChunkedOutputLoss"},
        "epochs": 1,
        "max_steps_per_epoch": plan.step_count,
        "compile": False,
        "device": "cpu",
        "dtype": dtype,
        "enable_activation_checkpointing": False,
        "enable_activation_offloading": False,
        "metric_logger": {"_component_": "bench.stock_recipe.StepTimes", "log_dir": str(folder)},
        "log_every_n_steps": 1,
        "log_peak_memory_stats": False,
        "profiler": {"_component_": "torchtune.training.setup_torch_profiler", "enabled": False},
    }


def run(folder: Path, settings: Mapping[str, Any], environment: Mapping[str, str]) -> list[dict[str, float]]:
    """Run the recipe in its own process; returns its steps. The adapter lies under ``out/epoch_0``."""
    (folder / STEPS_FILE).unlink(missing_ok=True)
    file = folder / "stock.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    tune = Path(sys.executable).with_name("tune")
    with (folder / "stock.log").open("w") as log:
        subprocess.run(
            [sys.executable, tune, "run", "lora_finetune_single_device", "--config", str(file)],
            env=dict(environment),
            stdout=log,
            stderr=log,
            check=True,
        )
    return [json.loads(line) for line in (folder / STEPS_FILE).read_text().splitlines()]
