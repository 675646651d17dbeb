"""python -m bench.inference_simulated

A replica of inference whose engine only takes its time: a step of the batch is a sleep. Bus, adapters, prompts, tokens
and settling are the service's own. For what two cores can't show, such as a second replica.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from typing import Final, cast

from doppel.basemodel.prompt import PromptEncoder
from doppel.bus import bind, connect
from doppel.database import Database
from doppel.lifecycle import Lifecycle, run
from doppel.storage import Storage
from proto.subjects import GENERATE_REQUEST, consumer
from services.inference.adapters.adapter_store import AdapterStore, BaseIdentity, own_folder
from services.inference.adapters.cancels import Cancels
from services.inference.adapters.engine import Completion, LoraFolder, OnText
from services.inference.app import MIB, wait_for_base
from services.inference.core.plan import Drawing
from services.inference.core.shape import BaseShape
from services.inference.handlers import Handlers, Metrics
from services.inference.repository import Repository
from services.inference.settings import InferenceSettings

STEP_S: Final = 0.05  # of SmolLM2 on a core or two; an 8B on a GPU is no faster


class SleepingEngine:
    """Writes a word a step, as many answers side by side as it is asked for."""

    context = 2048

    async def generate(
        self,
        request_id: str,
        ids: Sequence[int],
        drawing: Drawing,
        adapter: LoraFolder | None,
        on_text: OnText,
    ) -> Completion:
        """As long an answer as may be."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for step in range(1, drawing.max_tokens + 1):
            await asyncio.sleep(max(0.0, began + step * STEP_S - loop.time()))
            on_text("word ")
        return Completion("word " * drawing.max_tokens, "length", len(ids), drawing.max_tokens)

    async def remove(self, adapter: LoraFolder) -> None:
        """Nothing was loaded."""

    @property
    def known(self) -> frozenset[int]:
        """Nothing was loaded."""
        return frozenset()

    async def forget_prompts(self) -> bool:
        """Nothing is remembered."""
        return True


async def serve(lifecycle: Lifecycle) -> None:
    """Serve ``generate.request`` until SIGTERM."""
    settings = cast("InferenceSettings", lifecycle.settings)
    async with AsyncExitStack() as stack:
        storage = stack.enter_context(closing(Storage(settings)))
        base = await wait_for_base(lifecycle, storage, settings)
        config = await asyncio.to_thread((base.folder / "config.json").read_bytes)
        scratch = stack.enter_context(own_folder(settings.cache_dir.absolute() / "adapters"))
        database = Database(settings)
        stack.push_async_callback(database.close)
        connection = await stack.enter_async_context(connect(lifecycle, settings, durables_of="inference"))
        engine = SleepingEngine()
        store = AdapterStore(
            storage,
            engine,
            BaseIdentity(base.manifest.content_sha256, BaseShape.parse(config)),
            scratch,
            max_rank=settings.max_lora_rank,
            limit_bytes=settings.adapter_cache_mib * MIB,
            registry=lifecycle.registry,
        )
        handlers = Handlers(
            bus=connection.bus,
            engine=engine,
            encoder=PromptEncoder.from_folder(base.folder),
            store=store,
            active=Repository(database),
            cancels=Cancels(),
            metrics=Metrics(lifecycle.registry),
            base_system=settings.base_system,
            default_wait=timedelta(seconds=settings.default_wait_s),
            on_engine_died=lambda: lifecycle.stop(1),
        )
        await handlers.cancels.listen(connection.bus.client)
        bind(
            connection.broker,
            consumer("GENERATE_REQUEST", "inference"),
            {GENERATE_REQUEST.name: handlers.on_generate_request},
            loops=settings.generate_loops,
            ack_wait_s=settings.ack_wait_s,
        )
        await connection.broker.start()
        lifecycle.ready()
        await lifecycle.stopping()


if __name__ == "__main__":
    sys.exit(run("inference", InferenceSettings.read, serve))
