"""Puts the playground together: one port, one workspace, one owner of everything in the background."""

import asyncio
import logging
import signal
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from playground.api.files import Files
from playground.api.handler import BODY_LIMIT_BYTES, WebApi
from playground.box import Box
from playground.bulk import Size, make_bulk
from playground.buswatch import BusWatch
from playground.control import Control, errors_as_json
from playground.control_forms import FormControl
from playground.control_ops import Operations
from playground.deliver import Deliverer
from playground.elsewhere import Elsewhere, make_another
from playground.model import SeedWorkspace
from playground.oauth import Authorize
from playground.page import Page
from playground.responses import Responses
from playground.settings import Settings
from playground.sockets import SocketServer
from playground.state import Workspace
from playground.synthetic import make_workspace
from playground.tasks import Tasks

log = logging.getLogger(__name__)


@dataclass
class Running:
    """A playground that serves."""

    url: str
    box: Box
    deliverer: Deliverer
    sockets: SocketServer
    _runner: web.AppRunner
    _tasks: Tasks
    _session: aiohttp.ClientSession
    bus: BusWatch

    @property
    def workspace(self) -> Workspace:
        """What it holds now."""
        return self.box.workspace

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Give deliveries `drain_s`, then end everything."""
        if drain_s > 0:
            await self.deliverer.drained(drain_s)
        self.box.hub.close()
        await self.sockets.disconnect("warning", close=True)
        await self._tasks.close()
        await self.bus.close()
        await self._runner.cleanup()
        await self._session.close()


async def start(settings: Settings, *, seed: SeedWorkspace | None = None) -> Running:
    """Serve on the settings' port (0: any free one). `seed`: another workspace than the synthetic one."""
    if seed is None:
        seed = await asyncio.to_thread(_seed_of, settings)
    box = Box(settings, seed)
    tasks = Tasks()
    session = aiohttp.ClientSession(trust_env=False, timeout=aiohttp.ClientTimeout(total=60))
    sockets = SocketServer(box)
    deliverer = Deliverer(box, tasks, session, sockets)
    password = settings.nats_password
    bus = BusWatch(
        box.hub,
        settings.nats_url,
        settings.nats_user,
        None if password is None else password.get_secret_value(),
    )
    box.workspace.observers += [box.show, deliverer.observe]
    for number, team_id in enumerate(settings.other_teams, start=1):
        other = make_another(settings, team_id, number)
        other.observers.append(deliverer.observer(team_id))
        box.others[team_id] = other
    runner = web.AppRunner(_application(box, deliverer, sockets, bus), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    site = web.TCPSite(runner, settings.host, settings.port)
    await site.start()
    host, port = runner.addresses[0][:2]
    url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104  compared, not bound
    box.public_url = (settings.public_url or url).rstrip("/")
    tasks.spawn(bus.run(), name="bus watch")
    return Running(url, box, deliverer, sockets, runner, tasks, session, bus)


def _seed_of(settings: Settings) -> SeedWorkspace:
    """The small synthetic workspace, or the large one."""
    now, team_id, app_id = settings.now, settings.team_id, settings.api_app_id
    if settings.bulk_channels > 0:
        size = Size(settings.bulk_channels, settings.bulk_messages, settings.bulk_threads)
        return make_bulk(settings.seed, size, now=now, team_id=team_id, app_id=app_id)
    return make_workspace(
        settings.seed, now=now, message_count=settings.message_count, team_id=team_id, app_id=app_id
    )


def _application(box: Box, deliverer: Deliverer, sockets: SocketServer, bus: BusWatch) -> web.Application:
    application = web.Application(middlewares=[errors_as_json], client_max_size=BODY_LIMIT_BYTES)
    api = WebApi(box)
    application.add_routes(
        [
            web.get("/health/live", _alive),
            web.get("/health/ready", _alive),
            web.get("/api/{method}", api.handle),
            web.post("/api/{method}", api.handle),
            web.get("/link/", sockets.handle),
            web.post("/response/{secret}", Responses(box).handle),
            *Control(box, deliverer).routes(),
            *FormControl(box, deliverer).routes(),
            *Operations(box, deliverer, sockets, bus).routes(),
            *Files(box).routes(),
            *Page(box).routes(),
            *Authorize(box).routes(),
            *Elsewhere(box, deliverer).routes(),
        ]
    )
    return application


async def _alive(_: web.Request) -> web.Response:
    # It answers only once the workspace is loaded, so alive and ready are one.
    return web.json_response({"ok": True})


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let deliveries end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = await start(settings)
    log.info("playground ready", extra={"url": running.url, "messages": running.workspace.counts()})
    try:
        await stop.wait()
    finally:
        log.info("playground stopping", extra={"pending": running.deliverer.pending})
        await running.stop(drain_s=settings.drain_s)
