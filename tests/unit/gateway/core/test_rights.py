"""Who may do what: one's own persona, or an admin; guests only where an admin allows it."""

from collections.abc import Callable
from typing import Any

import pytest

from services.gateway.core.rights import (
    Asker,
    NotAllowed,
    asker_of,
    check_admin,
    check_hear,
    check_manage,
    check_train,
)
from services.gateway.core.rules import Rules

MEMBER = Asker("U1", is_member=True, is_admin=False)
ADMIN = Asker("U9", is_member=True, is_admin=True)
GUEST = Asker("U5", is_member=False, is_admin=False)


def allowed(check: Callable[..., None], *arguments: object) -> bool:
    try:
        check(*arguments)
    except NotAllowed:
        return False
    return True


@pytest.mark.parametrize(
    ("raw", "is_member", "is_admin"),
    [
        ({}, True, False),
        ({"is_admin": True}, True, True),
        ({"is_owner": True}, True, True),
        ({"is_admin": "yes"}, True, False),
        ({"is_restricted": True, "is_admin": True}, False, False),
        ({"is_ultra_restricted": True}, False, False),
        ({"is_stranger": True}, False, False),
        ({"team_id": "T2", "is_admin": True}, False, False),
        ({"deleted": True, "is_owner": True}, False, False),
        ({"is_bot": True}, False, False),
    ],
)
def test_rights_are_what_slack_says(raw: dict[str, Any], is_member: bool, is_admin: bool) -> None:
    asker = asker_of({"id": "U1", "name": "u", "team_id": "T1"} | raw, "U1", "T1")
    assert (asker.is_member, asker.is_admin) == (is_member, is_admin)


def test_of_whom_slack_says_nothing_has_no_rights() -> None:
    assert asker_of({}, "U1", "T1") == Asker("U1", is_member=False, is_admin=False)


def test_a_persona_is_its_persons_and_the_admins() -> None:
    assert [allowed(check_manage, who, "U1") for who in (MEMBER, ADMIN, GUEST)] == [True, True, False]
    assert not allowed(check_manage, MEMBER, "U2")
    assert not allowed(check_manage, Asker("U5", is_member=False, is_admin=False), "U5")
    assert [allowed(check_admin, who) for who in (MEMBER, ADMIN)] == [False, True]


@pytest.mark.parametrize(
    ("who_may_train", "others", "oneself"),
    [("members", True, True), ("self", False, True), ("admins", False, False)],
)
def test_who_may_train_is_a_rule(who_may_train: Any, others: bool, oneself: bool) -> None:
    rules = Rules(who_may_train=who_may_train)
    assert allowed(check_train, MEMBER, "U2", rules) is others
    assert allowed(check_train, MEMBER, "U1", rules) is oneself
    assert allowed(check_train, ADMIN, "U2", rules)
    assert not allowed(check_train, GUEST, "U2", rules)


def test_guests_hear_personas_only_where_that_is_allowed() -> None:
    assert [allowed(check_hear, who, Rules()) for who in (MEMBER, GUEST)] == [True, False]
    assert allowed(check_hear, GUEST, Rules(guests_may_ask=True))
