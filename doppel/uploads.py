"""Uploads of any size that go on where they stopped: S3's multipart, part by part.

The bucket itself remembers what it has; a part counts only if its MD5 is that of the file's own bytes, and an object
appears once it is whole. So a second run, after a kill or on another machine, sends what is missing.
"""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from minio import Minio
from minio.datatypes import Part
from minio.error import S3Error

from doppel.patience import patiently
from doppel.storage import TRANSFER_S, Storage

MIB: Final = 1024 * 1024
PART_BYTES: Final = 8 * MIB
MOST_PARTS: Final = 9_000  # S3 takes 10,000
AT_ONCE: Final = 3
PATIENCE_S: Final = 60.0  # how long nothing may get through before we give up
TRIES: Final = 3
_MOST_PER_PAGE: Final = 1_000
_BEGIN_AGAIN: Final = {"NoSuchUpload", "InvalidPart", "InvalidPartOrder", "EntityTooSmall"}

T = TypeVar("T")
Show = Callable[[int], None]


class FileChanged(Exception):
    """The file is not what it was when its hash was taken."""


@dataclass(frozen=True)
class _Piece:
    number: int  # from 1
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Unfinished:
    """An upload that somebody began."""

    key: str
    upload_id: str
    began_at: datetime


def plan_pieces(size_bytes: int) -> list[_Piece]:
    """How a file is cut: always alike, so that what an earlier run sent can be told."""
    part = PART_BYTES
    while part * MOST_PARTS < size_bytes:
        part *= 2
    return [
        _Piece(number + 1, offset, min(part, size_bytes - offset))
        for number, offset in enumerate(range(0, size_bytes, part))
    ]


@dataclass(frozen=True)
class Uploads:
    """Uploads into one bucket."""

    storage: Storage
    patience_s: float = PATIENCE_S

    async def put(self, key: str, path: Path, *, show: Show = lambda _: None) -> None:
        """Bring a file into the bucket; `show` is told how many bytes are there. A whole object is left as it is.

        Raises FileChanged; a network that stays away raises what it raised: run it again, it goes on.
        """
        before = await asyncio.to_thread(path.stat)
        size_bytes = before.st_size
        if await self._patiently(lambda: self.storage.size_bytes(key)) == size_bytes:
            return show(size_bytes)
        if size_bytes <= PART_BYTES:
            await self._patiently(lambda: self.storage.put_file(key, path))
            return show(size_bytes)
        for attempt in range(1, TRIES + 1):
            try:
                await self._send(key, path, before, show)
            except S3Error as error:  # another run was faster and cleaned up, or the bucket lost what it had
                if await self._patiently(lambda: self.storage.size_bytes(key)) == size_bytes:
                    break
                if error.code not in _BEGIN_AGAIN or attempt == TRIES:
                    raise
            else:
                break
        for left in await self._patiently(lambda: self.unfinished(key)):
            await self._patiently(lambda left=left: self.abort(left))
        return None

    async def _send(self, key: str, path: Path, before: os.stat_result, show: Show) -> None:
        bucket = self.storage.bucket
        begun = await self._patiently(lambda: self.unfinished(key))
        if begun:
            upload_id = max(begun, key=lambda each: each.began_at).upload_id
        else:
            upload_id = await self._patiently(
                lambda: self.storage.with_client(
                    lambda client: client._create_multipart_upload(bucket, key, {})  # pyright: ignore[reportPrivateUsage]
                )
            )
        known = await self._patiently(lambda: self.parts(key, upload_id)) if begun else {}
        limit = asyncio.Semaphore(AT_ONCE)
        done: dict[int, str] = {}
        sent = 0

        async def bring(piece: _Piece) -> None:
            nonlocal sent
            async with limit:
                data = await asyncio.to_thread(_read, path, piece)
                etag = known.get(piece.number)
                if etag is None or etag != await asyncio.to_thread(_md5, data):
                    etag = await self._patiently(lambda: self._put_part(key, upload_id, piece, data))
                done[piece.number] = etag
                sent += piece.size_bytes
                show(sent)

        try:
            async with asyncio.TaskGroup() as group:
                for piece in plan_pieces(before.st_size):
                    group.create_task(bring(piece))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        after = await asyncio.to_thread(path.stat)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            await self.abort(Unfinished(key, upload_id, datetime.now(UTC)))
            raise FileChanged(path.name)
        parts = [Part(number, done[number]) for number in sorted(done)]
        await self._patiently(
            lambda: self.storage.with_client(
                lambda client: client._complete_multipart_upload(bucket, key, upload_id, parts),  # pyright: ignore[reportPrivateUsage]
                TRANSFER_S,
            )
        )

    async def _put_part(self, key: str, upload_id: str, piece: _Piece, data: bytes) -> str:
        return await self.storage.with_client(
            lambda client: client._upload_part(self.storage.bucket, key, data, None, upload_id, piece.number),  # pyright: ignore[reportPrivateUsage]
            TRANSFER_S,
        )

    async def unfinished(self, prefix: str) -> list[Unfinished]:
        """Uploads begun under a prefix and not ended. MinIO lists those of one key only, and drops them after a day."""

        def find(client: Minio) -> list[Unfinished]:
            found = client._list_multipart_uploads(  # pyright: ignore[reportPrivateUsage]
                self.storage.bucket, prefix=prefix, max_uploads=_MOST_PER_PAGE
            )
            return [
                Unfinished(
                    each.object_name, cast("str", each.upload_id), cast("datetime", each.initiated_time)
                )
                for each in found.uploads
                if each.object_name.startswith(prefix)
            ]

        return await self.storage.with_client(find)

    async def abort(self, upload: Unfinished) -> None:
        """Drop what was sent of it."""

        def drop(client: Minio) -> None:
            try:
                client._abort_multipart_upload(self.storage.bucket, upload.key, upload.upload_id)  # pyright: ignore[reportPrivateUsage]
            except S3Error as error:
                if error.code != "NoSuchUpload":
                    raise

        await self.storage.with_client(drop)

    async def parts(self, key: str, upload_id: str) -> dict[int, str]:
        """Part number → its ETag, of what is there already."""

        def find(client: Minio) -> dict[int, str]:
            found: dict[int, str] = {}
            marker: str | None = None
            while True:
                page: Any = client._list_parts(  # pyright: ignore[reportPrivateUsage]
                    self.storage.bucket, key, upload_id, max_parts=_MOST_PER_PAGE, part_number_marker=marker
                )
                found |= {part.part_number: part.etag.strip('"') for part in page.parts}
                if not page.is_truncated or not page.parts:
                    return found
                marker = str(page.next_part_number_marker)

        return await self.storage.with_client(find)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Try until it works or nothing has worked for `patience_s`."""
        return await patiently(call, "the bucket", self.patience_s)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _read(path: Path, piece: _Piece) -> bytes:
    with path.open("rb") as file:
        file.seek(piece.offset)
        data = file.read(piece.size_bytes)
    if len(data) != piece.size_bytes:
        raise FileChanged(path.name)
    return data
