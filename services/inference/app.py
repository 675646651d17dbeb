"""Put inference together once: base model → engine → handlers → serve until SIGTERM → drain."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from typing import Final, cast

from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import Gauge
from pydantic import ValidationError

from doppel.basemodel.errors import BaseModelUnusable
from doppel.basemodel.fetch import BaseModelCache, BaseModelFolder
from doppel.basemodel.prompt import PromptEncoder
from doppel.bus import bind, connect
from doppel.database import Database
from doppel.lifecycle import Lifecycle
from doppel.settings import SettingsError
from doppel.storage import Storage
from proto.errors import ArtifactCorrupt, BaseModelMissing
from proto.subjects import GENERATE_REQUEST, TRAIN_RESULT, consumer
from proto.train import TrainResult
from services.inference.adapters.adapter_store import AdapterStore, BaseIdentity, own_folder
from services.inference.adapters.cancels import Cancels
from services.inference.adapters.engine import EngineDied, VllmEngine, open_engine
from services.inference.core.shape import BaseShape
from services.inference.handlers import Handlers, Metrics
from services.inference.purging import Purging, listen
from services.inference.repository import Repository
from services.inference.settings import InferenceSettings

log = logging.getLogger(__name__)

ENGINE_DIED: Final = 70  # exit code: start me again
FETCH_S: Final = 3600.0
DATABASE_S: Final = 10.0
LOOK_S: Final = 0.5  # how often the engine's pulse is felt
PROBE_S: Final = 120.0  # one token may wait behind a full batch
HANGS: Final = 3  # unanswered probes in a row: it hangs
MIB: Final = 1024 * 1024


async def serve(lifecycle: Lifecycle) -> None:
    """Serve ``generate.request`` until SIGTERM."""
    settings = cast("InferenceSettings", lifecycle.settings)
    start = StartTimes(lifecycle)
    async with AsyncExitStack() as stack:
        storage = stack.enter_context(closing(Storage(settings)))
        lifecycle.not_ready("waiting for the base model")
        base = await wait_for_base(lifecycle, storage, settings)
        config = await asyncio.to_thread((base.folder / "config.json").read_bytes)
        identity = BaseIdentity(base.manifest.content_sha256, BaseShape.parse(config))
        scratch = stack.enter_context(own_folder(settings.cache_dir.absolute() / "adapters"))

        start.passed("base_model")
        lifecycle.not_ready("starting the engine")
        engine = await stack.enter_async_context(
            open_engine(lifecycle, settings, base.folder, identity.shape, scratch)
        )
        Gauge(
            "doppel_engine_requests", "What the engine has to do.", registry=lifecycle.registry
        ).set_function(lambda: engine.unfinished)
        pulse = Pulse(lifecycle, engine, settings.probe_every_s)
        await pulse.probe()
        start.passed("engine")
        lifecycle.tasks.create_task(pulse.feel(), name="engine-pulse")
        lifecycle.tasks.create_task(pulse.keep_probing(), name="engine-probe")

        lifecycle.not_ready("waiting for the database")
        database = Database(settings)
        stack.push_async_callback(database.close)
        await lifecycle.wait_for("the database", database.open, timeout_s=DATABASE_S)

        lifecycle.not_ready("waiting for the bus")
        connection = await stack.enter_async_context(connect(lifecycle, settings, durables_of="inference"))
        store = AdapterStore(
            storage,
            engine,
            identity,
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
            on_engine_died=pulse.give_up,
        )
        repository = Repository(database)
        purging = Purging(
            connection.bus, store, handlers.cancels, engine, repository.fetch_existing, pulse.give_up
        )
        await listen(lifecycle, connection.bus.client, purging)
        lifecycle.tasks.create_task(purging.run(lifecycle), name="compare")
        loops = settings.generate_loops or engine.loops
        await handlers.cancels.listen(connection.bus.client)
        await listen_for_adapters(lifecycle, connection.bus.client, handlers)
        bind(
            connection.broker,
            consumer("GENERATE_REQUEST", "inference"),
            {GENERATE_REQUEST.name: handlers.on_generate_request},
            loops=loops,
            ack_wait_s=settings.ack_wait_s,
        )
        await connection.broker.start()
        for name, check in (
            ("bus", connection.check),
            ("storage", storage.check),
            ("database", database.check),
        ):
            lifecycle.add_check(name, check)
        lifecycle.add_check("engine", pulse.check)
        start.passed("bus")
        log.info("serving", extra={"loops": loops, **start.seconds})
        lifecycle.ready()
        await lifecycle.stopping()


async def wait_for_base(
    lifecycle: Lifecycle, storage: Storage, settings: InferenceSettings
) -> BaseModelFolder:
    """Wait until the base model is in the bucket and bring it here. Raises SettingsError where its name is none."""
    cache = BaseModelCache(storage, settings.cache_dir.absolute() / "models")

    def report(came_bytes: int, total_bytes: int) -> None:
        percent = 100 * came_bytes // max(1, total_bytes)
        lifecycle.not_ready(f"fetching the base model: {percent} %")
        log.info(
            "fetching the base model",
            extra={"percent": percent, "mib": came_bytes // MIB, "of_mib": total_bytes // MIB},
        )

    async def attempt() -> BaseModelFolder:
        try:
            return await cache.fetch(settings.base_model, report=report)
        except BaseModelUnusable as error:
            raise SettingsError(str(error)) from error

    return await lifecycle.wait_for(
        f"the base model {settings.base_model} in the bucket (`doppel setup`)",
        attempt,
        on=(BaseModelMissing, ArtifactCorrupt),
        timeout_s=FETCH_S,
    )


async def listen_for_adapters(lifecycle: Lifecycle, client: Client, handlers: Handlers) -> None:
    """Prefetch what a training published. Lossy by design: the first question would fetch it too."""

    async def on_message(message: Msg) -> None:
        try:
            result = TrainResult.model_validate_json(message.data)
        except ValidationError:
            return  # its reader of record parks it
        lifecycle.tasks.create_task(handlers.on_train_result(result), name="prefetch")

    await client.subscribe(TRAIN_RESULT.name, cb=on_message)


class StartTimes:
    """How long the parts of a start took: what a cold replica costs."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._gauge = Gauge(
            "doppel_start_seconds", "What the start spent on what.", ["part"], registry=lifecycle.registry
        )
        self._began = self._last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def passed(self, part: str) -> None:
        """This part is done."""
        now = time.monotonic()
        self._gauge.labels(part).set(now - self._last)
        self.seconds[f"{part}_s"] = round(now - self._last, 1)
        self.seconds["ready_s"] = round(now - self._began, 1)
        self._last = now


class Pulse:
    """Watches the engine: dead ends the process, silent makes it not ready, silent for long ends it too."""

    def __init__(self, lifecycle: Lifecycle, engine: VllmEngine, every_s: float) -> None:
        self._lifecycle = lifecycle
        self._engine = engine
        self._every_s = every_s
        self._hangs = 0

    async def check(self) -> None:
        """Raise unless the engine answered its last probe."""
        if self._engine.is_dead or self._hangs:
            raise EngineDied

    async def probe(self) -> None:
        """Ask for one token."""
        try:
            async with asyncio.timeout(PROBE_S):
                await self._engine.probe()
            self._hangs = 0
        except TimeoutError:
            self._hangs += 1
            log.warning("the engine does not answer", extra={"times": self._hangs})
            if self._hangs >= HANGS:
                self.give_up()
        except EngineDied:
            self.give_up()

    async def keep_probing(self) -> None:
        """A real one-token generation, unless somebody's answer has just proved that it generates."""
        while not await self._lifecycle.pause(self._every_s):
            if self._hangs or self._engine.silent_s >= self._every_s:
                await self.probe()

    async def feel(self) -> None:
        """Notice at once when the engine's processes end."""
        while not await self._lifecycle.pause(LOOK_S):
            if self._engine.is_dead:
                self.give_up()

    def give_up(self) -> None:
        """End the process, non-zero, after what runs here was given back."""
        if not self._lifecycle.is_stopping:
            log.critical("the engine died; ending so that a fresh one starts")
            self._lifecycle.stop(ENGINE_DIED)
