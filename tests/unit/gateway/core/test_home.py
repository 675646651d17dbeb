"""What the Home tab shows, within Slack's limits."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.consent import Consent
from services.gateway.core.home import Own, hash_of, render_home
from services.gateway.core.standing import Standing
from services.gateway.core.voice import Chosen

AT = datetime(2026, 5, 3, tzinfo=UTC)
NOBODY = Standing([], [], {}, [])


def own(consent: Consent | None = None, versions: int = 0, forgotten_at: datetime | None = None) -> Own:
    return Own("U0ADA", consent, versions, forgotten_at)


def actions_of(view: dict[str, Any]) -> list[str]:
    return [e["action_id"] for b in view["blocks"] if b["type"] == "actions" for e in b["elements"]]


def test_only_whom_there_is_something_of_sees_forget_me() -> None:
    assert "forget_yes" not in actions_of(render_home(NOBODY, own()))
    assert "forget_yes" not in actions_of(render_home(NOBODY, own(Consent(False, "person", AT))))
    assert "forget_yes" in actions_of(render_home(NOBODY, own(Consent(True, "person", AT))))
    assert "forget_yes" in actions_of(render_home(NOBODY, own(Consent(False, "person", AT), versions=1)))
    under_way = render_home(NOBODY, own(Consent(False, "person", AT), 1, forgotten_at=AT))
    assert "forget_yes" not in actions_of(under_way)
    assert "is being deleted" in str(under_way)


def test_forget_me_asks_once_more() -> None:
    view = render_home(NOBODY, own(Consent(True, "person", AT)))
    button = next(
        e for b in view["blocks"] for e in b.get("elements", []) if e.get("action_id") == "forget_yes"
    )
    assert button["value"] == "U0ADA"
    assert button["confirm"]["confirm"]["text"] == "Forget me"


def test_it_says_who_answers_where_and_what_is_under_way() -> None:
    standing = Standing(
        [("U0ADA", "Ada", AT)],
        [Chosen("U0ADA", "C0DEV"), Chosen(None, "")],
        {"U0ADA": 2},
        [("U0BRAM", "training")],
    )
    text = str(render_home(standing, own()))
    for words in ("Ada: since 3 May 2026, 2 versions", "hears me", "In <#C0DEV>: Ada", "<@U0BRAM>: trains"):
        assert words in text


@given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=20)), max_size=300))
def test_however_many_there_are_slack_takes_it(people: list[tuple[str, str]]) -> None:
    active = [(f"U{n}", name, AT) for n, (name, _) in enumerate(people)]
    chosen = [Chosen(f"U{n}", f"C{n}") for n in range(len(people))]
    standing = Standing(active, chosen, {}, [(f"U{n}", state) for n, (_, state) in enumerate(people)])
    view = render_home(standing, own(Consent(True, "operator", AT), 3))
    assert len(view["blocks"]) <= 100
    for block in view["blocks"]:
        assert len((block.get("text") or {}).get("text", "")) <= 3000
    assert hash_of(view) == hash_of(render_home(standing, own(Consent(True, "operator", AT), 3)))
