"""A face in disguise: symmetric artwork from a hash, never the person's own picture."""

import colorsys
import hashlib
from dataclasses import dataclass

CELLS = 5


@dataclass(frozen=True)
class Artwork:
    """Colours as RGB, cells as rows of booleans, mirrored left to right."""

    background: tuple[int, int, int]
    foreground: tuple[int, int, int]
    cells: tuple[tuple[bool, ...], ...]


def avatar_key(team_id: str, user_id: str) -> str:
    """The public name of a persona's picture; tells nobody whose it is."""
    return hashlib.sha256(f"avatar/{team_id}/{user_id}".encode()).hexdigest()[:24]


def draw(key: str) -> Artwork:
    """Derive the artwork from its key: the same picture on every replica, for ever."""
    digest = hashlib.sha256(key.encode()).digest()
    hue = digest[0] / 255
    half = (CELLS + 1) // 2
    rows: list[tuple[bool, ...]] = []
    for row in range(CELLS):
        left = [bool(digest[1 + row * half + column] & 1) for column in range(half)]
        rows.append((*left, *left[: CELLS - half][::-1]))
    return Artwork(_hsl(hue, 0.35, 0.92), _hsl(hue, 0.55, 0.45), tuple(rows))


def _hsl(hue: float, saturation: float, lightness: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)
