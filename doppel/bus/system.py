"""What the system account of nats-server is asked for."""

import asyncio
import json
from typing import Any, Final

from pydantic import SecretStr

from doppel.bus.access import SYSTEM
from doppel.bus.broker import open_client
from doppel.settings import BusSettings, SettingsError

ASK_S: Final = 5.0


async def reload_server(settings: BusSettings, password: SecretStr) -> None:
    """Have the server read its configuration again: users and rights of a new release, without a restart.

    Raises SettingsError where it finds it wrong, nats errors where it is away.
    """
    as_system = settings.model_copy(update={"nats_user": SYSTEM, "nats_password": password})
    client = await open_client(as_system, user=SYSTEM)
    try:
        async with asyncio.timeout(2 * ASK_S):
            info: dict[str, Any] = json.loads(
                (await client.request("$SYS.REQ.SERVER.PING.IDZ", b"", timeout=ASK_S)).data
            )
            server = str(info.get("id") or info["server"]["id"])
            answer = await client.request(f"$SYS.REQ.SERVER.{server}.RELOAD", b"", timeout=ASK_S)
    finally:
        await client.close()
    error = json.loads(answer.data).get("error")
    if error:
        raise SettingsError(f"nats-server refuses its configuration: {error.get('description', error)}.")
