"""Personas' pictures as PNG, drawn from `core.avatar`."""

import io
from functools import lru_cache

from PIL import Image, ImageDraw

from services.gateway.core.avatar import CELLS, draw

SIZE = 192
MARGIN = 16


@lru_cache(maxsize=512)
def picture(key: str) -> bytes:
    """The PNG of one key, 192 × 192."""
    art = draw(key)
    image = Image.new("RGB", (SIZE, SIZE), art.background)
    pen = ImageDraw.Draw(image)
    cell = (SIZE - 2 * MARGIN) // CELLS
    for row, cells in enumerate(art.cells):
        for column, filled in enumerate(cells):
            if filled:
                x, y = MARGIN + column * cell, MARGIN + row * cell
                pen.rectangle((x, y, x + cell - 1, y + cell - 1), fill=art.foreground)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
