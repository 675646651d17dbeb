"""Put together once: settings → clients → handlers → serve until SIGTERM → drain."""

import asyncio
import contextlib
import logging
import os
import socket
from datetime import UTC, datetime, timedelta
from uuid import UUID

from nats.aio.msg import Msg

from doppel.bus import bind, connect
from doppel.database import Database
from doppel.lifecycle import Lifecycle
from doppel.secrets import TokenBox
from doppel.slack.client import open_slack
from doppel.storage import Storage
from proto.subjects import PERSONA_PURGE, SCRAPE_CANCEL, SCRAPE_REQUEST, consumer
from services.scraper.adapters.scrape_gauges import ScrapeGauges
from services.scraper.adapters.slack_gauges import SlackGauges
from services.scraper.adapters.tokens import Tokenizers
from services.scraper.adapters.waiting import find_waiting
from services.scraper.adapters.work import Threads
from services.scraper.core.leftovers import Ages
from services.scraper.handlers import Handlers
from services.scraper.handlers.api_source import ApiRules, ApiSource
from services.scraper.handlers.cancels import Cancels
from services.scraper.handlers.collect import Collector
from services.scraper.handlers.cutting import Cutting, Rules
from services.scraper.handlers.erasing import Eraser
from services.scraper.handlers.histories import Histories
from services.scraper.handlers.hold import Holding
from services.scraper.handlers.purging import Purging
from services.scraper.repository import Repository
from services.scraper.settings import Settings

log = logging.getLogger(__name__)


async def serve(lifecycle: Lifecycle, settings: Settings) -> None:
    """Serve scrape.request until SIGTERM."""
    loops = consumer("SCRAPE_REQUEST", "scraper").loops
    async with contextlib.AsyncExitStack() as stack:
        storage = Storage(settings)
        stack.callback(storage.close)
        threads = Threads(loops)
        stack.callback(threads.close)
        slack = await stack.enter_async_context(open_slack(settings.slack_api_url, settings.slack_timeout_s))
        database = Database(settings)
        stack.push_async_callback(database.close)
        repository = Repository(database)
        await lifecycle.wait_for("PostgreSQL", database.open)
        await lifecycle.wait_for("the migrations", repository.check_schema)
        connection = await stack.enter_async_context(connect(lifecycle, settings, durables_of="scraper"))
        holding = Holding(repository, connection.bus, settings.scrape_lease_s)
        gauges = ScrapeGauges(lifecycle.registry)
        jetstream = connection.bus.jetstream
        cancels = Cancels(repository, holding, connection.bus, lambda about: find_waiting(jetstream, about))
        eraser = Eraser(storage, repository, settings.scratch_folder)
        holder = f"{socket.gethostname()}/{os.getpid()}"
        handlers = Handlers(
            bus=connection.bus,
            repository=repository,
            holding=holding,
            histories=Histories(
                storage=storage,
                repository=repository,
                api=ApiSource(
                    repository=repository,
                    storage=storage,
                    slack=slack,
                    tokens=_tokens(settings),
                    threads=threads,
                    gauges=SlackGauges(lifecycle.registry),
                    rules=ApiRules(
                        calls_at_once=settings.slack_calls_at_once,
                        channels_at_once=settings.channels_at_once,
                        scale=settings.slack_rate_scale,
                        recheck_days=settings.recheck_days,
                        incremental=settings.incremental,
                        opt_out=settings.opted_out,
                    ),
                ),
                threads=threads,
                gauges=gauges,
                eraser=eraser,
                api_allowed=settings.may_train_on_slack_api,
                export_bytes=settings.export_bytes,
            ),
            cutting=Cutting(
                storage=storage,
                repository=repository,
                threads=threads,
                tokenizers=Tokenizers(storage, settings.base_model),
                rules=Rules(settings.dataset_options, settings.min_samples, settings.phone_region_codes),
            ),
            gauges=gauges,
            holder=holder,
            scratch_folder=settings.scratch_folder,
            lease_ttl_s=settings.scrape_lease_s,
        )

        async def on_cancel(message: Msg) -> None:
            with contextlib.suppress(ValueError):  # not an id of ours
                await cancels.on_scrape_cancel(UUID(message.subject.rpartition(".")[2]))

        await connection.bus.client.subscribe(SCRAPE_CANCEL.name, cb=on_cancel)
        bind(
            connection.broker,
            consumer("SCRAPE_REQUEST", "scraper"),
            {SCRAPE_REQUEST.name: handlers.on_scrape_request},
            ack_wait_s=settings.ack_wait_s,
        )
        purging = Purging(connection.bus, storage, repository, cancels, eraser, holder)
        bind(
            connection.broker,
            consumer("FACTS", "scraper_purge"),
            {PERSONA_PURGE.name: purging.on_persona_purge},
            ack_wait_s=settings.ack_wait_s,
        )
        lifecycle.add_check("bus", connection.check)
        lifecycle.add_check("PostgreSQL", database.check)
        lifecycle.add_check("S3", storage.check)
        collector = Collector(
            storage,
            repository,
            gauges,
            Ages(timedelta(hours=settings.leftover_hours), timedelta(days=settings.upload_days)),
            settings.collect_every_s,
            now=lambda: datetime.now(UTC),
            eraser=eraser,
        )
        await connection.broker.start()
        async with asyncio.TaskGroup() as group:
            collecting = group.create_task(collector.run())
            lifecycle.ready()
            await lifecycle.stopping()
            holding.leave()
            collecting.cancel()


def _tokens(settings: Settings) -> TokenBox | None:
    """None where no key is set: exports need none."""
    return TokenBox(settings.encryption_keys) if settings.encryption_keys.get_secret_value() else None
