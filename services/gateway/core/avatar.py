"""A persona's picture: generated artwork, the same for the same person, like nobody's photograph."""

import hashlib
import io
from typing import Final

from PIL import Image, ImageDraw

SIZE_PX: Final = 192
CELLS: Final = 5
_SCALE: Final = 2  # drawn larger and shrunk: smooth edges


def avatar_key(team_id: str, user_id: str) -> str:
    """Names the picture of one person of one workspace without saying who it is."""
    return hashlib.sha256(f"avatar/{team_id}/{user_id}".encode()).hexdigest()[:32]


def avatar_url(public_url: str, team_id: str, user_id: str) -> str:
    """Where Slack fetches it."""
    return f"{public_url.rstrip('/')}/avatars/{avatar_key(team_id, user_id)}.png"


def draw_avatar(key: str) -> bytes:
    """A mirrored pattern of circles and squares in two hues, as PNG. `key`: 32 hexadecimal digits."""
    seed = hashlib.sha256(key.encode()).digest()
    hue = seed[0] * 360 // 256
    other = (hue + 120 + seed[1] % 120) % 360
    size = SIZE_PX * _SCALE
    image = Image.new("RGB", (size, size), f"hsl({hue}, 45%, 90%)")
    pen = ImageDraw.Draw(image)
    cell = size / (CELLS + 1)
    for row in range(CELLS):
        for column in range((CELLS + 1) // 2):
            byte = seed[2 + row * 3 + column]
            if byte % 3 == 0:
                continue
            colour = f"hsl({hue if byte & 8 else other}, 55%, {40 + byte % 20}%)"
            for mirrored in {column, CELLS - 1 - column}:
                left, top = cell * (mirrored + 0.5), cell * (row + 0.5)
                box = (left, top, left + cell, top + cell)
                if byte & 16:
                    pen.ellipse(box, fill=colour)
                else:
                    pen.rectangle(box, fill=colour)
    image = image.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=True)
    return out.getvalue()
