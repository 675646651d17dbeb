"""S3 off the event loop, hash-checked. Any S3 that the `minio` client speaks to."""

import asyncio
import fcntl
import hashlib
import io
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeVar, cast

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from pydantic import BaseModel

from doppel.refusals import Refusals
from doppel.settings import StorageSettings
from proto.errors import ArtifactCorrupt

CONNECT_S: Final = 2.0
READ_S: Final = 10.0  # per recv; shorter than our own deadlines, since a thread can't be cancelled
CALL_S: Final = 30.0
TRANSFER_S: Final = 600.0
CHUNK_BYTES: Final = 1024 * 1024
THREADS: Final = 16
QUIET_POLL_S: Final = 0.05
_REFUSALS: Final = frozenset(("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"))

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class ObjectMissing(Exception):
    """There is no such object."""


@dataclass(frozen=True)
class Listed:
    """One object of a listing."""

    key: str
    modified_at: datetime


class _Response(Protocol):
    def stream(self, amt: int) -> Iterable[bytes]: ...
    def close(self) -> None: ...
    def release_conn(self) -> None: ...


class Storage:
    """The bucket. One per process: its threads are its own, so that S3 can't starve anything else."""

    def __init__(self, settings: StorageSettings) -> None:
        self.bucket = settings.s3_bucket
        self._client = Minio(
            settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            region=settings.s3_region,
            secure=settings.s3_secure,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
                maxsize=THREADS,
                retries=urllib3.Retry(total=0),  # retries live in one layer only: the message's redelivery
                cert_reqs="CERT_REQUIRED",
            ),
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
        self._refusals = Refusals()
        self._under_way = 0
        self._counting = threading.Lock()

    def close(self) -> None:
        """Let the threads go; what is under way ends by its socket timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def ensure_bucket(self) -> None:
        """Make the bucket unless it is there."""

        def make() -> None:
            if self._client.bucket_exists(self.bucket):
                return
            try:
                self._client.make_bucket(self.bucket)
            except S3Error as error:
                if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

        await self._call(make)

    async def check(self) -> None:
        """Raise unless the bucket answers, and allowed what was asked lately (Refused)."""
        await self.check_rights()
        try:
            await self.exists("models/manifest.json")
        except S3Error as error:
            if error.code in _REFUSALS:
                await self.check_rights()
            raise

    async def check_rights(self) -> None:
        """Raise where the bucket refused us something lately; asks nobody."""
        self._refusals.check()

    async def exists(self, key: str) -> bool:
        """Is there such an object?"""
        return await self.size_bytes(key) is not None

    async def size_bytes(self, key: str) -> int | None:
        """How large an object is; None where there is none."""

        def stat() -> int | None:
            try:
                return self._client.stat_object(self.bucket, key).size
            except S3Error as error:
                if error.code in {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}:
                    return None
                raise

        return await self._call(stat)

    async def put_bytes(self, key: str, data: bytes) -> str:
        """Store `data`; returns its SHA-256."""
        await self._call(lambda: self._client.put_object(self.bucket, key, io.BytesIO(data), len(data)))
        return hashlib.sha256(data).hexdigest()

    async def put_model(self, key: str, body: BaseModel) -> str:
        """Store a manifest as JSON; returns the SHA-256 that a row will name."""
        return await self.put_bytes(key, body.model_dump_json().encode())

    async def put_file(self, key: str, path: Path) -> str:
        """Store a file; returns its SHA-256."""

        def put() -> str:
            sha256 = sha256_of(path)
            self._client.fput_object(self.bucket, key, str(path))
            return sha256

        return await self._call(put, TRANSFER_S)

    async def get_bytes(
        self, key: str, *, sha256: str | None = None, limit_bytes: int = 64 * CHUNK_BYTES
    ) -> bytes:
        """Read a small object. Raises ObjectMissing, ArtifactCorrupt (hash or size)."""

        def get() -> bytes:
            data = bytearray()
            for chunk in self._chunks(key, time.monotonic() + CALL_S):
                data += chunk
                if len(data) > limit_bytes:
                    raise ArtifactCorrupt(f"{key} is larger than {limit_bytes} bytes")
            return bytes(data)

        data = await self._call(get)
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise ArtifactCorrupt(key)
        return data

    async def get_model(self, model: type[M], key: str, *, sha256: str | None = None) -> M:
        """Read a manifest. Raises ObjectMissing, ArtifactCorrupt."""
        data = await self.get_bytes(key, sha256=sha256)
        try:
            return model.model_validate_json(data)
        except ValueError as error:
            raise ArtifactCorrupt(key) from error

    async def fetch_verified(
        self, key: str, sha256: str, path: Path, *, limit_bytes: int | None = None
    ) -> None:
        """Bring an object to disk: own temporary name, hashed while streaming, renamed only when right.

        Raises ObjectMissing, ArtifactCorrupt (hash, or more than `limit_bytes`).
        """

        def fetch() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
            digest = hashlib.sha256()
            try:
                with part.open("wb") as file:
                    for chunk in self._chunks(key, time.monotonic() + TRANSFER_S):
                        digest.update(chunk)
                        if limit_bytes is not None and file.tell() + len(chunk) > limit_bytes:
                            raise ArtifactCorrupt(f"{key} is larger than {limit_bytes} bytes")
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                if digest.hexdigest() != sha256:
                    raise ArtifactCorrupt(key)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)

        await self._call(fetch, TRANSFER_S)

    async def fetch_resumed(
        self,
        key: str,
        sha256: str,
        path: Path,
        *,
        size_bytes: int,
        show: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Bring a large object to disk, going on where an earlier try stopped; `show` is told what has come.

        What lies in ``<name>.part`` is hashed and counted, never believed. Raises ObjectMissing, ArtifactCorrupt
        (nothing is left then), TimeoutError (also while a broken-off try of ours still writes: ask again).
        """
        given_up = threading.Event()  # a thread can't be cancelled: it is told

        def fetch() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.part")
            with part.open("a+b") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise TimeoutError(f"{path.name} is still being written") from error
                sha = _bring_rest(file, size_bytes, rest)
            if sha != sha256:
                part.unlink()
                raise ArtifactCorrupt(key)
            part.replace(path)

        def rest(offset: int) -> Iterable[bytes]:
            show(offset)
            for chunk in (
                self._chunks(key, time.monotonic() + TRANSFER_S, offset) if offset < size_bytes else ()
            ):
                if given_up.is_set():
                    raise TimeoutError("given up")
                yield chunk
                show(len(chunk))

        try:
            await self._call(fetch, TRANSFER_S)
        finally:
            given_up.set()

    async def list_keys(self, prefix: str) -> list[str]:
        """Every key under a prefix. A listing is no snapshot: readers start at a row, never here."""
        return [listed.key for listed in await self.list_objects(prefix)]

    async def list_objects(self, prefix: str) -> list[Listed]:
        """The same with their ages."""
        return await self._call(
            lambda: [
                Listed(cast("str", found.object_name), cast("datetime", found.last_modified))
                for found in self._client.list_objects(self.bucket, prefix=prefix, recursive=True)
            ],
            TRANSFER_S,
        )

    async def list_folders(self, prefix: str) -> list[str]:
        """The prefixes one level below a prefix, each with its slash."""
        return await self._call(
            lambda: [
                cast("str", found.object_name)
                for found in self._client.list_objects(self.bucket, prefix=prefix)
                if found.is_dir
            ],
            TRANSFER_S,
        )

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those already gone are fine."""

        def remove() -> None:
            for failed in self._client.remove_objects(self.bucket, [DeleteObject(key) for key in keys]):
                raise OSError(f"S3 kept {failed.name}: {failed.code}")

        await self._call(remove, TRANSFER_S)

    def _chunks(self, key: str, deadline: float, offset: int = 0) -> Iterable[bytes]:
        """Stream an object; the deadline is looked at between chunks, since `read` is per recv."""
        try:
            response = cast("_Response", self._client.get_object(self.bucket, key, offset=offset))
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchObject"}:
                raise ObjectMissing(key) from error
            raise
        try:
            for chunk in response.stream(CHUNK_BYTES):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"S3 is too slow: {key}")
                yield chunk
        finally:
            response.close()
            response.release_conn()

    async def with_client(self, call: Callable[[Minio], T], timeout_s: float = CALL_S) -> T:
        """Run `call` in one of our threads: for what needs more of S3 than this class offers (`uploads.py`)."""
        return await self._call(lambda: call(self._client), timeout_s)

    async def quiet(self) -> None:
        """Wait until no call is under way, also of callers that were cancelled: their threads go on to their end."""
        async with asyncio.timeout(TRANSFER_S + READ_S):
            while self._under_way:  # noqa: ASYNC110  counted by threads, which no event of the loop's knows
                await asyncio.sleep(QUIET_POLL_S)

    async def _call(self, call: Callable[[], T], timeout_s: float = CALL_S) -> T:
        async with asyncio.timeout(timeout_s + READ_S):
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._counted, call)

    def _counted(self, call: Callable[[], T]) -> T:
        with self._counting:
            self._under_way += 1
        try:
            return call()
        except S3Error as error:
            if error.code in _REFUSALS:
                self._refusals.note(_sentence(error))
            raise
        finally:
            with self._counting:
                self._under_way -= 1


def _sentence(error: S3Error) -> str:
    where = "/".join(
        (error.resource or "").strip("/").split("/")[:2]
    )  # bucket and first folder; the rest may be long
    return (
        f"S3 refused us {where or 'the bucket'}: {error.code}; DOPPEL_S3_ACCESS_KEY and DOPPEL_S3_SECRET_KEY say who "
        "we are, `doppel setup` gives each user its rights"
    )


def _bring_rest(file: BinaryIO, size_bytes: int, rest: Callable[[int], Iterable[bytes]]) -> str:
    """Hash what a file opened for appending holds, add the rest; returns the SHA-256 of all (blocking)."""
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    for chunk in rest(file.tell()):
        digest.update(chunk)
        file.write(chunk)
        if file.tell() > size_bytes:
            return ""  # longer than said: no hash can be right
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Hash a file (blocking)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
