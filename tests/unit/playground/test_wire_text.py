"""What is typed becomes what Slack's client sends, and nothing typed becomes a token by accident."""

from hypothesis import given
from hypothesis import strategies as st

from playground.text import encode_typed, escape, mentions, rich_text, unescape

USERS = {"ada": "U0ADA", "doppel": "U0DOPPEL"}
CHANNELS = {"general": "C0GENERAL"}


def encoded(text: str, *, with_names: bool = False) -> str:
    return encode_typed(text, users=USERS, channels=CHANNELS, with_names=with_names)


def test_people_channels_and_links_become_tokens() -> None:
    assert encoded("@doppel ask @ada. see #general") == "<@U0DOPPEL> ask <@U0ADA>. see <#C0GENERAL|general>"
    assert encoded("go https://a.example/x?a=1&b=2.") == "go <https://a.example/x?a=1&amp;b=2>."
    assert encoded("train @ada", with_names=True) == "train <@U0ADA|ada>"


def test_what_is_nobody_stays_text() -> None:
    for text in ("@nobody", "mail ada@ada.example", "#nowhere", "a #1 @ b"):
        assert encoded(text) == text


def test_hostile_text_is_escaped_and_finished_tokens_stay() -> None:
    assert (
        encoded("<img src=x onerror=alert(1)> & <@U0ADA>")
        == "&lt;img src=x onerror=alert(1)&gt; &amp; <@U0ADA>"
    )
    assert encoded("<!channel> @here") == "<!channel> <!here>"


@given(st.text())
def test_escaping_is_undone_by_one_pass(text: str) -> None:
    assert unescape(escape(text)) == text


@given(st.text())
def test_the_block_says_the_same_words(text: str) -> None:
    (block,) = rich_text(escape(text))
    (section,) = block["elements"]
    assert "".join(element["text"] for element in section["elements"]) == text


@given(st.text(alphabet="<>&@#! aU0DAhereC|", max_size=40))
def test_only_real_tokens_keep_their_brackets(text: str) -> None:
    wire = encoded(text)
    for part in wire.split("<")[1:]:
        assert part[0] in "@#!h"
        assert ">" in part


def test_a_mention_is_the_whole_id() -> None:
    assert mentions("hi <@U0DOPPEL|doppel>", "U0DOPPEL")
    assert not mentions("hi <@U0DOPPEL2>", "U0DOPPEL")
