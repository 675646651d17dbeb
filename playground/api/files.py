"""files.*: an address for the bytes, the bytes, and the message that shows them."""

import secrets
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import BodyPartReader, web

from playground.api.call import Answer, ApiError, Call
from playground.api.chat import bot_profile, writable
from playground.box import Box
from playground.model import Message, StoredFile

FILE_BYTES = 32 * 1024 * 1024
ALT_TEXT = 1_000
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif"}


def get_upload_url(call: Call) -> Answer:
    """files.getUploadURLExternal"""
    name, length = call.required("filename", "length")
    if not length.isdigit() or not 0 < int(length) <= FILE_BYTES:
        raise ApiError("invalid_arguments", response_metadata={"messages": ["[ERROR] length"]})
    alt_text = call.text("alt_txt") or ""
    if len(alt_text) > ALT_TEXT:
        raise ApiError("alt_txt_too_large")
    file = StoredFile(f"F0{secrets.token_hex(5).upper()}", name, int(length), alt_text)
    secret = secrets.token_urlsafe(24)
    call.workspace.files[file.id] = file
    call.box.upload_urls[secret] = file.id
    return {"upload_url": f"{call.box.public_url}/upload/{secret}", "file_id": file.id}


def complete_upload(call: Call) -> Answer:
    """files.completeUploadExternal: without a channel the file stays private; shared once more, it shows once more."""
    given = call.nested("files")
    if not isinstance(given, list) or not given:
        raise ApiError("invalid_arguments", response_metadata={"messages": ["[ERROR] files"]})
    files = [_named(call, each) for each in cast("list[Any]", given)]
    channel_id = call.text("channel_id")
    if channel_id is not None:
        channel = writable(call, "channel_id")
        thread_ts = call.text("thread_ts")
        if thread_ts is not None and channel.get(thread_ts) is None:
            raise ApiError("thread_not_found")
        app = call.workspace.app
        message: Message = {
            "type": "message",
            "text": call.text("initial_comment") or "",
            "files": [_shown(call, file, title) for file, title in files],
            "upload": False,
            "user": app.user_id,
            "bot_id": app.bot_id,
            "app_id": app.app_id,
            "team": call.workspace.team_id,
            "bot_profile": bot_profile(call),
        }
        posted = call.workspace.post(channel, message, thread_ts=thread_ts)
        for file, _ in files:
            file.shares.append((channel.id, posted["ts"], thread_ts))
    return {"files": [{"id": file.id, "title": title} for file, title in files]}


def delete(call: Call) -> Answer:
    """files.delete: one's own files; the messages that showed one say so from then on."""
    (file_id,) = call.required("file")
    if call.workspace.files.pop(file_id, None) is None:
        raise ApiError("file_not_found")
    gone = {"id": file_id, "mode": "tombstone"}
    for channel in call.workspace.channels.values():
        for message in [each for each in channel.everything() if each.get("files")]:
            files = cast("list[dict[str, Any]]", message["files"])
            if any(each.get("id") == file_id for each in files):
                left = [gone if each.get("id") == file_id else each for each in files]
                call.workspace.change(channel, message["ts"], {"files": left}, edited_by=None)
    return {}


def _named(call: Call, given: Any) -> tuple[StoredFile, str]:
    entry = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    file = call.workspace.files.get(str(entry.get("id")))
    if file is None or file.data is None:
        raise ApiError("file_not_found")
    file.title = str(entry.get("title") or file.name)
    return file, file.title


def info(call: Call) -> Answer:
    """files.info: a file that has its bytes, and the messages that show it."""
    (file_id,) = call.required("file")
    file = call.workspace.files.get(file_id)
    if file is None or file.data is None:
        raise ApiError("file_not_found")
    shares: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for channel_id, ts, thread_ts in file.shares:
        channel = call.workspace.channels[channel_id]
        where = shares.setdefault("public" if channel.kind == "public" else "private", {})
        share = {"ts": ts, "channel_name": channel.name, "team_id": call.workspace.team_id}
        where.setdefault(channel_id, []).append(share | ({"thread_ts": thread_ts} if thread_ts else {}))
    shown = _shown(call, file, file.title or file.name)
    return {"file": shown | {"shares": shares}, "comments": [], "response_metadata": {"next_cursor": ""}}


def _shown(call: Call, file: StoredFile, title: str) -> dict[str, Any]:
    address = f"{call.box.public_url}/files/{file.id}"
    return {
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": title,
        "mimetype": _TYPES.get(file.kind, "application/octet-stream"),
        "filetype": file.kind,
        "user": call.workspace.app.user_id,
        "size": file.length,
        "mode": "hosted",
        "is_external": False,
        "is_public": True,
        "alt_txt": file.alt_text,
        "url_private": address,
        "url_private_download": address,
        "permalink": address,
    }


@dataclass(frozen=True)
class Files:
    """``/upload/<secret>`` takes the bytes, ``/files/<id>`` gives them to the page."""

    box: Box

    def routes(self) -> list[web.RouteDef]:
        """Both."""
        return [web.post("/upload/{secret}", self.upload), web.get("/files/{file_id}", self.download)]

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """The bytes, raw or as the file of a form; no token: the address is the secret, and good once."""
        fault = self.box.faults.take("upload")
        if fault is not None and fault.kind == "status":
            return web.Response(status=fault.status, text="upstream connect error")
        if fault is not None and fault.kind == "reset_before" and request.transport is not None:
            request.transport.abort()
            return web.Response(status=599)
        file = self.box.workspace.files.get(self.box.upload_urls.get(request.match_info["secret"], ""))
        if file is None:
            return web.Response(status=404, text="no_such_url")
        data = await _bytes_of(request.clone(client_max_size=FILE_BYTES))
        if len(data) != file.length:
            return web.Response(status=400, text="length_mismatch")
        del self.box.upload_urls[request.match_info["secret"]]
        file.data = data
        return web.Response(text=f"OK - {len(data)}")

    async def download(self, request: web.Request) -> web.StreamResponse:
        """A picture for the page. Anything else is not shown: it could be a page of somebody's own."""
        file = self.box.workspace.files.get(request.match_info["file_id"])
        if file is None or file.data is None or file.kind not in _TYPES:
            raise web.HTTPNotFound
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return web.Response(body=file.data, content_type=_TYPES[file.kind], headers=headers)


async def _bytes_of(request: web.BaseRequest) -> bytes:
    if request.content_type != "multipart/form-data":
        return await request.read()
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.filename is not None:
            return await _within(part)
    return b""


async def _within(part: BodyPartReader) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > FILE_BYTES:
            raise web.HTTPRequestEntityTooLarge(FILE_BYTES, len(data))
    return bytes(data)


METHODS = {
    "files.getUploadURLExternal": get_upload_url,
    "files.completeUploadExternal": complete_upload,
    "files.info": info,
    "files.delete": delete,
}
