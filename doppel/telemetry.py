"""Logs, metrics and traces: set up once per process. What people wrote is in none of them."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from doppel.settings import SettingsError, TelemetrySettings

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SECRET: Final = re.compile(r"(xox[a-z]-|xapp-|xoxe[.-]|Bearer )[A-Za-z0-9._-]+")

# These print bodies, tokens or SQL arguments at DEBUG; below INFO they are never let through.
_TALKATIVE: Final = (
    "slack_sdk", "aiohttp", "asyncpg", "nats", "faststream", "urllib3", "minio", "botocore", "matplotlib"
)  # fmt: skip


class RedactSecrets(logging.Filter):
    """The last belt: whatever looks like a token leaves the line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; nothing is dropped."""
        message = record.getMessage()
        if _SECRET.search(message):
            record.msg, record.args = _SECRET.sub(r"\1…", message), None
        return True


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None


class TextFormatter(logging.Formatter):
    """``12:00:01 INFO trainer  run published  run_id=… trace=…``: for people."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, then the traceback if there is one."""
        stamp = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        fields = " ".join(f"{key}={value}" for key, value in _extras(record).items())
        trace_id = _trace_id()
        tail = f"  {fields}" if fields else ""
        line = f"{stamp} {record.levelname:<7} {record.name}  {record.getMessage()}{tail}"
        if trace_id:
            line += f" trace={trace_id[:12]}"
        return f"{line}\n{_stack(record)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """Standard fields, the extras, and the trace id."""
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **_extras(record),
        }
        if trace_id := _trace_id():
            entry["trace_id"] = trace_id
        if record.exc_info:
            entry["stack"] = _stack(record)
        return json.dumps(entry, default=str, ensure_ascii=False)


def _stack(record: logging.LogRecord) -> str:
    """Where it happened and of what type; never the exception's text, which may quote people."""
    error = record.exc_info[1] if record.exc_info else None
    return "" if error is None else stack_of(error)


def stack_of(error: BaseException) -> str:
    """Type, place and cause of an error without its message: ``KeyError at services/…:12 ← …``."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(lines) < 4:
        frames: list[str] = []
        step = seen.__traceback__
        while step is not None:
            frames.append(f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}")
            step = step.tb_next
        lines.append(f"  {type(seen).__name__} at " + " > ".join(frames[-5:]))
        seen = seen.__cause__ or seen.__context__
    return "\n".join(lines)


def set_up_logging(settings: TelemetrySettings) -> None:
    """Send every record to stderr, once, in the chosen format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    handler.addFilter(RedactSecrets())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(
            max(logging.INFO, logging.getLevelNamesMapping()[settings.log_level])
        )
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def set_up_tracing(service: str, settings: TelemetrySettings) -> TracerProvider:
    """Make the tracer provider; spans leave the process only where DOPPEL_OTLP_ENDPOINT says so."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"doppel-{service}"}))
    if settings.otlp_endpoint:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError as error:
            raise SettingsError(
                "DOPPEL_OTLP_ENDPOINT needs the extra `otlp`: pip install 'doppel[otlp]'."
            ) from error
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
    return provider


def make_registry() -> CollectorRegistry:
    """A registry with the process's own figures; each service adds its own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
