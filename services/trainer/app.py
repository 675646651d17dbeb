"""Put together once: settings → clients → handlers → serve until SIGTERM → drain."""

import asyncio
import logging
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from doppel.basemodel.fetch import BaseModelCache
from doppel.bus import bind, connect
from doppel.database import Database
from doppel.lifecycle import Lifecycle
from doppel.storage import Storage
from doppel.transient import is_transient
from proto.persona import PersonaLook
from proto.subjects import (
    ADAPTER_REQUEST,
    PERSONA_LOOK,
    PERSONA_PURGE,
    TRAIN_CANCEL,
    TRAIN_REQUEST,
    consumer,
)
from services.trainer.adapters.code_version import code_version
from services.trainer.adapters.gauges import Gauges
from services.trainer.adapters.queue import Queue
from services.trainer.adapters.run_store import RunStore
from services.trainer.handlers import Handlers
from services.trainer.handlers.collect import Collector
from services.trainer.handlers.ends import Canceller
from services.trainer.handlers.options import Options, Tools
from services.trainer.handlers.purge import Purger
from services.trainer.repository import Runs
from services.trainer.settings import TrainerSettings, child_environment

log = logging.getLogger(__name__)


async def serve(lifecycle: Lifecycle, settings: TrainerSettings) -> None:
    """Run the trainer until SIGTERM."""
    database, storage = Database(settings), Storage(settings)
    runs = Runs(database, lease_ttl_s=settings.run_lease_s)
    store = RunStore(storage, settings.cache_dir / "runs")
    await asyncio.to_thread(store.open)
    try:
        await lifecycle.wait_for("the database", database.open)
        await lifecycle.wait_for("the migrations (`doppel db migrate`)", runs.check)
        await lifecycle.wait_for("the bucket", storage.check)
        async with connect(lifecycle, settings, durables_of="trainer") as connection:
            handlers = Handlers(
                Tools(
                    bus=connection.bus,
                    runs=runs,
                    store=store,
                    base_models=BaseModelCache(storage, settings.cache_dir / "models"),
                    gauges=Gauges(lifecycle.registry),
                    options=_options(settings),
                    queue=Queue(connection.bus.jetstream),
                    stopping=lifecycle.stopping,
                )
            )

            canceller = Canceller(handlers.tools, handlers.running)

            async def on_cancel(message: Msg) -> None:
                try:
                    run_id = UUID(message.subject.removeprefix(TRAIN_CANCEL.name.removesuffix("*")))
                except ValueError:
                    log.warning("cancel without a run_id")
                    return
                await canceller.on_cancel(run_id)

            await connection.bus.client.subscribe(TRAIN_CANCEL.name, cb=on_cancel)
            bind(
                connection.broker,
                consumer("TRAIN_REQUEST", "trainer"),
                {TRAIN_REQUEST.name: handlers.on_train_request},
                ack_wait_s=settings.ack_wait_s,
            )
            purger = Purger(handlers.tools, canceller)
            bind(
                connection.broker,
                consumer("FACTS", "trainer_purge"),
                {PERSONA_PURGE.name: purger.on_persona_purge},
                ack_wait_s=settings.ack_wait_s,
            )
            await listen_for_looks(connection.bus.client, purger)
            collector = Collector(connection.bus, runs, store, settings.adapters_kept)
            bind(
                connection.broker,
                consumer("ADAPTER_REQUEST", "trainer"),
                {ADAPTER_REQUEST.name: collector.on_adapter_request},
                ack_wait_s=settings.ack_wait_s,
            )
            await connection.broker.start()
            lifecycle.add_check("bus", connection.check)
            lifecycle.add_check("database", runs.check)
            lifecycle.add_check("bucket", storage.check)
            lifecycle.ready()
            await lifecycle.stopping()
    finally:
        await database.close()
        storage.close()
        await asyncio.to_thread(store.close)


async def listen_for_looks(client: Client, purger: Purger) -> None:
    """Answer who asks what this replica holds of a person. Where it can't, it is silent, and that is seen."""

    async def on_look(message: Msg) -> None:
        try:
            await purger.on_persona_look(PersonaLook.model_validate_json(message.data))
        except ValidationError:
            log.warning("a look that can't be read")
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("a look not answered", extra={"error": type(error).__name__})

    await client.subscribe(PERSONA_LOOK.name, cb=on_look)


def _options(settings: TrainerSettings) -> Options:
    return Options(
        base_model=settings.base_model,
        system_template=settings.system_template,
        device=settings.device,
        threads=settings.trainer_threads,
        min_samples=settings.trainer_min_samples,
        max_lora_rank=settings.max_lora_rank,
        lease_ttl_s=settings.run_lease_s,
        queue_poll_s=settings.queue_poll_s,
        api_allowed=settings.may_train_on_slack_api,
        environment=child_environment(settings.trainer_threads),
        adapters_kept=settings.adapters_kept,
        code_version=code_version(),
    )
