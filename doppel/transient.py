"""Which errors pass by themselves. The lists are those of the libraries pinned in pyproject.toml."""

from typing import Final, cast

import aiohttp
import asyncpg
import nats.errors
import nats.js.errors
import urllib3.exceptions
from minio.error import S3Error, ServerError

from proto.errors import TransientError

_TYPES: Final = (
    TransientError,
    OSError,
    TimeoutError,
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a restart of the server shows as this one too
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.DiskFullError,
    asyncpg.UndefinedTableError,  # a service that started before the migrations did
    nats.errors.Error,
    nats.js.errors.ServiceUnavailableError,
    nats.js.errors.NoStreamResponseError,
    urllib3.exceptions.HTTPError,
    ServerError,
)
_S3_CODES: Final = {
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "RequestTimeTooSkewed",
}
_OURS: Final = (nats.errors.MaxPayloadError, nats.errors.BadSubjectError)


def is_transient(error: BaseException) -> bool:
    """Will the same call probably work later? An exception group is as transient as its worst member."""
    if isinstance(error, BaseExceptionGroup):
        return all(
            is_transient(member) for member in cast("BaseExceptionGroup[BaseException]", error).exceptions
        )
    if isinstance(error, S3Error):
        return error.code in _S3_CODES
    return isinstance(error, _TYPES) and not isinstance(error, _OURS)


def innermost(error: BaseException) -> BaseException:
    """A task group wraps what its task raised: the first of what it holds."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("tuple[BaseException, ...]", error.exceptions)[0]
    return error
