"""A picture that is nobody's, and always the same."""

import io

from PIL import Image

from services.gateway.core.avatar import SIZE_PX, avatar_key, avatar_url, draw_avatar


def test_the_same_person_has_the_same_picture() -> None:
    key = avatar_key("T1", "U1")
    assert draw_avatar(key) == draw_avatar(key)
    assert draw_avatar(key) != draw_avatar(avatar_key("T1", "U2"))
    assert avatar_key("T1", "U1") != avatar_key("T2", "U1")


def test_it_is_a_small_png() -> None:
    data = draw_avatar(avatar_key("T1", "U1"))
    assert len(data) < 50_000
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("PNG", (SIZE_PX, SIZE_PX))


def test_its_address_names_nobody() -> None:
    url = avatar_url("https://x.example/", "T1", "U0ADA")
    assert url.startswith("https://x.example/avatars/")
    assert "ADA" not in url
