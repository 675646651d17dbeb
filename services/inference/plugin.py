"""What of ours runs inside the engine's own processes, where nobody awaits anything.

vLLM loads it by entry points. ``vllm.platform_plugins`` are asked while vLLM is imported: an engine process ends with
the service it belongs to, however that ended. ``vllm.general_plugins`` run before the model is loaded: on CPU the LoRA
operation is replaced by one that is right and faster, and so is the drawing of tokens.
"""

import logging
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Final

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
    replace_on_cpu()


def replace_on_cpu() -> None:
    """Put our operations where vLLM's own stand, in the version they were written for."""
    from vllm import __version__
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    if not __version__.startswith(PATCHED_VERSION):
        log.warning("this vLLM's operations are left as they are", extra={"version": __version__})
        return
    from services.inference import cpu_lora, cpu_sampling

    cpu_lora.replace()
    cpu_sampling.replace()


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
