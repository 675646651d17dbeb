"""The Home tab: who can answer, one's own yes or no, *Forget me*; anew when something changes."""

from typing import Any
from uuid import uuid4

from tests.integration.gateway.rig import Rig
from tests.integration.gateway.trainings import TEAM, agree
from tests.support.waiting import eventually


async def shows(rig: Rig, user: str, *words: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The view, once it says that."""

    async def seen() -> dict[str, Any] | None:
        view = (await rig.workspace.ask("GET", "home", user=user))["view"]
        text = str(view)
        return view if all(w in text for w in words) and not any(w in text for w in without) else None

    return await eventually(seen, what=f"{words} at {user}'s home", within_s=30)


def actions_of(view: dict[str, Any]) -> list[str]:
    return [e["action_id"] for b in view["blocks"] if b["type"] == "actions" for e in b["elements"]]


async def opened(rig: Rig, user: str) -> None:
    await rig.workspace.ask("POST", "home", user=user)


async def press(rig: Rig, user: str, action_id: str) -> None:
    await rig.workspace.ask("POST", "home/actions", user=user, action_id=action_id)


async def test_consent_is_given_and_taken_back_at_home_and_the_tab_follows(rig: Rig) -> None:
    await opened(rig, "chiyo")
    view = await shows(rig, "chiyo", "Who can answer")
    assert "forget_yes" not in actions_of(view)  # there is nothing to forget
    await press(rig, "chiyo", "consent_allow")
    view = await shows(rig, "chiyo", "You allowed me", "Forget me")
    assert "forget_yes" in actions_of(view)
    await press(rig, "chiyo", "consent_no")
    await shows(rig, "chiyo", "You said no", "is being deleted")
    purge = await rig.row("select reason from gateway.purges where user_id = 'U0CHIYO'")
    assert purge["reason"] == "withdrawn"


async def test_forget_me_at_home_forgets_who_pressed(rig: Rig) -> None:
    await agree(rig, "U0ELENA", "Elena")
    await opened(rig, "elena")
    await shows(rig, "elena", "Forget me")
    await press(rig, "elena", "forget_yes")
    await shows(rig, "elena", "is being deleted", without=("You allowed me",))
    said = await rig.row(
        "select granted, recorded_by from gateway.consents where user_id = 'U0ELENA' order by consent_id desc"
    )
    assert (said["granted"], said["recorded_by"]) == (False, "person")


async def test_who_looked_lately_sees_what_changes_and_nothing_is_published_twice(rig: Rig) -> None:
    await opened(rig, "grace")
    before = await shows(rig, "grace", "Who can answer")
    await agree(rig, "U0HOMER", "Homer")
    await rig.change(
        """insert into gateway.active_adapters (team_id, user_id, run_id, prefix, manifest_sha256, requested_at)
           values ($1, 'U0HOMER', $2, 'x', $3, now())""",
        TEAM,
        uuid4(),
        "0" * 64,
    )
    after = await shows(rig, "grace", "Homer")
    assert after["id"] == before["id"]
    await rig.change("delete from gateway.active_adapters where user_id = 'U0HOMER'")
    last = await shows(rig, "grace", "Who can answer", without=("Homer",))
    await opened(rig, "grace")  # nothing changed: the same view stays
    await rig.workspace.ask("POST", "drain", timeout_s=10)
    assert (await shows(rig, "grace"))["hash"] == last["hash"]


async def test_a_view_that_somebody_else_published_is_overwritten(rig: Rig) -> None:
    await opened(rig, "bram")
    await shows(rig, "bram", "Who can answer")
    await rig.change(
        "update gateway.homes set view_hash = 'an older one', shown = '' where user_id = 'U0BRAM'"
    )
    await press(rig, "bram", "consent_no")
    await shows(rig, "bram", "You said no")
