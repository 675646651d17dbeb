"""Every variable of inference, and the environment its engine reads before it is imported."""

import os
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from doppel.basemodel.prompt import DEFAULT_BASE_SYSTEM
from doppel.settings import SharedSettings

OWNER_VARIABLE: Final = "DOPPEL_ENGINE_OWNER"


class InferenceSettings(SharedSettings):
    """What inference reads beside the shared settings."""

    cache_dir: Path = Field(
        default=Path(".doppel/cache/inference"), description="Base model and adapters on this machine's disk."
    )
    adapter_cache_mib: PositiveInt = Field(
        default=2048,
        description="How much of the disk adapters may take; the least recently used leave first.",
    )
    generate_loops: PositiveInt | None = Field(
        default=None,
        le=256,
        description="Requests a replica works on at once; empty: what the engine's cache holds, "
        "at most 64 on CPU, 256 on a GPU.",
    )
    adapter_slots: PositiveInt = Field(
        default=12, le=64, description="Adapters that can generate at the same moment; more wait."
    )
    adapters_in_memory: PositiveInt = Field(
        default=16,
        le=1024,
        description="Adapters the engine keeps in RAM; others come from disk in milliseconds.",
    )
    context_tokens: PositiveInt = Field(
        default=2048,
        ge=64,
        description="Context window of prompt and reply together, at most the model's own.",
    )
    engine_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 where the processor computes in it, else float32."
    )
    engine_kv_cache_gib: PositiveInt = Field(default=1, description="CPU: memory for attention's cache.")
    engine_gpu_share: PositiveFloat = Field(
        default=0.9, le=1, description="GPU: share of its memory to take."
    )
    engine_cpus: str = Field(
        default="auto",
        description="CPU: cores to compute on, such as 0-3; auto leaves one to the others, nobind binds none.",
    )
    default_wait_s: PositiveFloat = Field(
        default=300, description="How long a request without deadline_at may take once it is taken up."
    )
    probe_every_s: PositiveFloat = Field(
        default=30, description="How often an idle engine is asked for one token."
    )
    graceful_timeout_s: PositiveFloat = Field(
        default=30, description="How long running completions may go on after SIGTERM."
    )
    base_system: str = Field(
        default=DEFAULT_BASE_SYSTEM, description="The system turn of the plain base model.", max_length=4000
    )
    health_port: NonNegativeInt = Field(
        default=0, le=65535, description="Health and metrics; 0 picks a free one."
    )


def set_engine_environment(settings: InferenceSettings) -> None:
    """Tell vLLM, before its import, to be quiet, offline and modest; what the operator has set stays."""
    wanted = {
        "VLLM_CPU_KVCACHE_SPACE": str(settings.engine_kv_cache_gib),
        "VLLM_CPU_OMP_THREADS_BIND": settings.engine_cpus,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CONFIGURE_LOGGING": "0",  # records go through our formatter, which prints no text
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_CACHE_ROOT": str((settings.cache_dir / "vllm").absolute()),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    for name, value in wanted.items():
        os.environ.setdefault(name, value)  # noqa: TID251  vLLM has no other door
    os.environ[OWNER_VARIABLE] = f"{os.getpid()}:{started_at(os.getpid())}"  # noqa: TID251  its children read it


def engine_owner() -> tuple[int, str] | None:
    """Process id and start of the service that an engine process belongs to; None outside of one."""
    pid, _, start = os.environ.get(OWNER_VARIABLE, "").partition(":")  # noqa: TID251  read in the engine's processes
    return (int(pid), start) if pid.isdigit() else None


def started_at(pid: int) -> str:
    """When a process started, in clock ticks since boot: with it a process id names one process for ever."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
