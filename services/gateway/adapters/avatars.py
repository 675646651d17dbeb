"""Pictures, drawn off the loop and kept in memory."""

import asyncio
from collections import OrderedDict
from typing import Final

from services.gateway.core.avatar import draw_avatar

KEPT: Final = 512
AT_ONCE: Final = 2


class Avatars:
    """Draws each picture once; the least recently asked for leaves first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._drawing = asyncio.Semaphore(AT_ONCE)

    async def png(self, key: str) -> bytes:
        """The picture of that key."""
        async with self._drawing:
            if key not in self._kept:
                self._kept[key] = await asyncio.to_thread(draw_avatar, key)
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]
