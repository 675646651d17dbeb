"""Start, health, drain: one `Lifecycle` per process, from the first log line to exit code 0."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, Final, Self, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from doppel.refusals import Refused
from doppel.settings import SettingsError, TelemetrySettings
from doppel.telemetry import make_registry, set_up_logging, set_up_tracing
from doppel.transient import innermost, is_transient

log = logging.getLogger(__name__)

WAIT_LOG_S: Final = 10.0  # one clear line this often while something we need is away
RETRY_S: Final = 0.5
CHECK_TTL_S: Final = 5.0
CHECK_TIMEOUT_S: Final = 3.0
LOOP_STALL_S: Final = 10.0

T = TypeVar("T")
Check = Callable[[], Awaitable[None]]


class Stopping(Exception):
    """SIGTERM came before the service was ready."""


class Lifecycle:
    """What a service process is made of: signals, health server, metrics, tasks with an owner.

    ``/health/live`` says that the loop turns and nothing else, so that an outage elsewhere restarts nobody.
    ``/health/ready`` says that the service serves: started, not draining, every check passed within 5 s.
    """

    def __init__(self, service: str, settings: TelemetrySettings) -> None:
        self.service = service
        self.settings = settings
        self.registry: CollectorRegistry = make_registry()
        self.tracer_provider = set_up_tracing(service, settings)
        self._stop = asyncio.Event()
        self._ready = False
        self._why_not = "starting"
        self._checks: dict[str, Check] = {}
        self._passed_at: dict[str, float] = {}
        self._turned_at = 0.0
        self._exit_code = 0
        self.health_port = 0
        self.tasks: asyncio.TaskGroup
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Listen for signals and serve health from the first moment."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        self.tasks = await self._stack.enter_async_context(_cancelled_at_exit())
        self.tasks.create_task(self._turn(), name="loop-turns")
        await self._stack.enter_async_context(self._health_server())
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop health last."""
        await self._stack.aclose()
        self.tracer_provider.shutdown()
        log.info("stopped", extra={"service": self.service})

    def add_check(self, name: str, check: Check) -> None:
        """Ask `check` for readiness; it raises when its part is away. The answer is kept for 5 s."""
        self._checks[name] = check

    def ready(self) -> None:
        """The service serves from here on."""
        self._ready, self._why_not = True, ""
        log.info("ready", extra={"service": self.service, "health_port": self.health_port})

    def not_ready(self, why: str) -> None:
        """The service can't serve for now; `why` is shown by /health/ready."""
        self._ready, self._why_not = False, why

    def stop(self, exit_code: int = 0) -> None:
        """Begin the drain, as SIGTERM does. A non-zero code tells the supervisor why."""
        self._exit_code = self._exit_code or exit_code
        self.not_ready("stopping")
        self._stop.set()

    @property
    def exit_code(self) -> int:
        """0 after a drain."""
        return self._exit_code

    @property
    def is_stopping(self) -> bool:
        """SIGTERM came."""
        return self._stop.is_set()

    async def stopping(self) -> None:
        """Wait for SIGTERM: the one wait without a deadline."""
        await self._stop.wait()

    async def pause(self, seconds: float) -> bool:
        """Wait between two rounds of a periodic task. True: SIGTERM came meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return self._stop.is_set()

    async def wait_for(
        self,
        what: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        on: tuple[type[Exception], ...] = (),
        timeout_s: float = 5.0,
    ) -> T:
        """Try until it works, one log line each 10 s. What passes by itself is tried again, and what `on` adds.

        Raises Stopping on SIGTERM, and every other error at once.
        """
        loop = asyncio.get_running_loop()
        logged_at = float("-inf")
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    return await attempt()
            except Exception as error:
                if not (is_transient(error) or isinstance(error, on)):
                    raise
                if loop.time() - logged_at >= WAIT_LOG_S:
                    log.warning("waiting for %s", what, extra={"error": type(error).__name__})
                    logged_at = loop.time()
            if await self.pause(RETRY_S):
                raise Stopping

    def _on_signal(self) -> None:
        if self._stop.is_set():  # the second one means now
            raise SystemExit(130)
        log.info("stopping", extra={"service": self.service})
        self.stop()

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._turned_at = loop.time()
            await asyncio.sleep(1)

    @contextlib.asynccontextmanager
    async def _health_server(self) -> AsyncGenerator[None]:
        app = web.Application()
        app.add_routes(
            [
                web.get("/health/live", self._live),
                web.get("/health/ready", self._is_ready),
                web.get("/metrics", self._metrics),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, self.settings.health_host, self.settings.health_port)
        try:
            await site.start()
        except OSError as error:
            raise SettingsError(
                f"DOPPEL_HEALTH_PORT {self.settings.health_port} is taken: {error.strerror}."
            ) from error
        self.health_port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    async def _live(self, _: web.Request) -> web.Response:
        stalled = asyncio.get_running_loop().time() - self._turned_at > LOOP_STALL_S
        return web.json_response({"live": not stalled}, status=503 if stalled else 200)

    async def _is_ready(self, _: web.Request) -> web.Response:
        failed = [why for name in self._checks if (why := await self._fails(name))]
        ok = self._ready and not failed
        reason = self._why_not or ", ".join(failed)
        body: dict[str, Any] = {"ready": ok} if ok else {"ready": False, "reason": reason}
        return web.json_response(body, status=200 if ok else 503)

    async def _fails(self, name: str) -> str:
        """Why a check fails; empty where it passes."""
        now = asyncio.get_running_loop().time()
        if now - self._passed_at.get(name, float("-inf")) < CHECK_TTL_S:
            return ""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._checks[name]()
        except Refused as error:  # logged where it was heard
            return str(error)
        except Exception as error:  # noqa: BLE001  a check fails in any way its library likes; the answer is "away"
            log.warning("check failed", extra={"check": name, "error": type(error).__name__})
            return f"{name} away"
        self._passed_at[name] = now
        return ""

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self.registry), headers={"Content-Type": "text/plain; version=0.0.4"}
        )


@contextlib.asynccontextmanager
async def _cancelled_at_exit() -> AsyncGenerator[asyncio.TaskGroup]:
    """A task group whose periodic tasks end with the block; one that fails ends the process."""

    class Ended(Exception):
        pass

    async def end() -> None:
        raise Ended

    try:
        async with asyncio.TaskGroup() as group:
            yield group
            group.create_task(end())
    except* Ended:
        pass


def run(
    service: str,
    read: Callable[[], TelemetrySettings],
    main: Callable[[Lifecycle], Coroutine[Any, Any, None]],
) -> int:
    """Run a service until SIGTERM: read settings, set up logs, serve. Returns the exit code."""
    try:
        settings = read()
    except SettingsError as error:
        set_up_logging(TelemetrySettings())
        log.critical("%s", error)
        return 2
    set_up_logging(settings)

    async def serve() -> int:
        lifecycle = Lifecycle(service, settings)
        code = 0
        try:
            async with lifecycle:
                await main(lifecycle)
        except* Stopping:
            pass
        except* (SettingsError, Refused) as errors:
            log.critical("%s", innermost(errors))
            code = 2
        return code or lifecycle.exit_code

    return asyncio.run(serve())
