"""What of ours runs inside the engine's own processes, where nobody awaits anything.

vLLM loads it by entry points. ``vllm.platform_plugins`` are asked while vLLM is imported: an engine process ends with
the service it belongs to, however that ended. ``vllm.general_plugins`` run before the model is loaded: on CPU the LoRA
operation is replaced by one that is right and faster.
"""

import logging
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final

from services.inference.settings import engine_owner, started_at

log = logging.getLogger(__name__)

PATCHED_VERSION: Final = "0.32.0"  # the private names below are this version's
ENTRY_POINTS: Final = """\
[vllm.platform_plugins]
doppel = services.inference.plugin:platform
[vllm.general_plugins]
doppel = services.inference.plugin:register
"""
METADATA: Final = "Metadata-Version: 2.1\nName: doppel-engine-plugin\nVersion: 1\n"

_watching = threading.Event()


def announce(folder: Path) -> None:
    """Let vLLM find the entry points, also where doppel is not installed but copied, as in an image (blocking).

    The engine's processes inherit our ``sys.path``, and with it what lies there.
    """
    info = folder / "doppel_engine_plugin-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(METADATA, encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def platform() -> None:
    """Asked by vLLM whether there is a platform of ours: there is none, but this is the earliest place to be asked."""
    end_with_owner()


def register() -> None:
    """Called by vLLM before it loads a model, perhaps more than once per process."""
    end_with_owner()
    repair_cpu_lora()


def end_with_owner() -> None:
    """End this process when the service ends, also by kill -9: vLLM's engine core would go on for ever.

    Not PR_SET_PDEATHSIG: it looks at the *thread* that started the process, and only one generation down.
    """
    owner = engine_owner()
    if owner is None or owner[0] == os.getpid() or _watching.is_set():
        return
    _watching.set()
    logging.getLogger("vllm").setLevel(logging.ERROR)  # its warnings are a line per tensor
    pid, start = owner
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
        return
    except OSError as error:  # a kernel without pidfd: the supervisor's process group is all there is
        log.warning("an engine process can't watch its service", extra={"error": type(error).__name__})
        return
    if started_at(pid) != start:  # ended before, its number given to somebody else
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=_watch, args=(handle,), name="end-with-owner", daemon=True).start()


def _watch(handle: int) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll()  # readable once the process has ended
    os.kill(os.getpid(), signal.SIGKILL)


def repair_cpu_lora() -> None:
    """Replace vLLM's CPU LoRA operation: requests without adapter in a batch with others get the wrong weights there.

    It also copies the adapter's matrices once per token, where one multiplication per adapter does.
    """
    from vllm import __version__
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    if not __version__.startswith(PATCHED_VERSION):
        log.warning("this vLLM's LoRA operation is left as it is", extra={"version": __version__})
        return
    from vllm.lora.ops.torch_ops import lora_ops
    from vllm.lora.punica_wrapper import punica_cpu

    modules: tuple[Any, ...] = (lora_ops, punica_cpu)
    for module in modules:
        module.bgmv_shrink, module.bgmv_expand, module.bgmv_expand_slice = shrink, expand, expand_slice


def _groups(weights: Any, indices: Any) -> Any:
    """Rows of the batch per adapter; an index below zero means none. Rows are few and adapters fewer."""
    import torch

    weights = weights.squeeze(1) if weights.dim() == 4 else weights
    for index in torch.unique(indices).tolist():
        if index >= 0:
            yield (indices == index).nonzero(as_tuple=True)[0], weights[index]


# Names and order of the parameters are vLLM's: it passes some by keyword.
def shrink(
    inputs: Any, lora_b_weights: Any, output_tensor: Any, lora_indices_tensor: Any, scaling: float = 1.0
) -> None:
    """Into the low rank: output = scaling · inputs Aᵀ."""
    output_tensor.zero_()
    for rows, a in _groups(lora_b_weights, lora_indices_tensor):
        product = scaling * (inputs[rows].to(a.dtype) @ a.T)
        output_tensor[rows, : a.shape[0]] = product.to(output_tensor.dtype)


def expand_slice(
    inputs: Any,
    lora_b_weights: Any,
    output_tensor: Any,
    lora_indices_tensor: Any,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """Out of the low rank, into a slice of the output: output += inputs Bᵀ."""
    part = slice(slice_offset, slice_offset + slice_size)
    for rows, b in _groups(lora_b_weights, lora_indices_tensor):
        product = (inputs[rows].to(b.dtype) @ b.T).to(output_tensor.dtype)[:, :slice_size]
        output_tensor[rows, part] = output_tensor[rows, part] + product if add_inputs else product


def expand(
    inputs: Any, lora_b_weights: Any, output_tensor: Any, lora_indices_tensor: Any, add_inputs: bool = True
) -> None:
    """Out of the low rank, into the whole output."""
    size = min(output_tensor.shape[1], lora_b_weights.shape[-2])
    expand_slice(inputs, lora_b_weights, output_tensor, lora_indices_tensor, 0, size, add_inputs)
