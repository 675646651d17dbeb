from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.people import home_teams, names_of, parse_person

values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)
FIELDS = ("id", "name", "team_id", "profile", "real_name", "deleted", "is_bot", "enterprise_user")


@given(st.dictionaries(st.sampled_from(FIELDS), values) | values)
def test_any_user_object_is_a_person_or_nobody(raw: Any) -> None:
    person = parse_person(raw, frozenset({"T1"}))
    if person is not None:
        assert person.model_validate_json(person.model_dump_json()) == person


@pytest.mark.parametrize(
    ("fields", "may_be"),
    [
        ({}, True),
        ({"is_bot": True}, False),
        ({"is_workflow_bot": True}, False),
        ({"is_restricted": True}, False),
        ({"is_ultra_restricted": True}, False),
        ({"is_stranger": True}, False),
        ({"deleted": True}, False),
        ({"team_id": "T2"}, False),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T1"]}}, True),
        ({"profile": {"bot_id": "B1"}}, False),
        ({"profile": None, "real_name": None}, True),
    ],
)
def test_only_full_living_members_of_ours_may_be_personas(fields: dict[str, Any], may_be: bool) -> None:
    person = parse_person({"id": "U1", "team_id": "T1"} | fields, frozenset({"T1"}))
    assert person is not None
    assert person.may_be_persona is may_be


def test_names_prefer_what_the_person_chose() -> None:
    raw = {"id": "U1", "name": "ada", "profile": {"display_name": " ", "real_name": "Ada L"}}
    person = parse_person(raw, frozenset())
    assert person is not None
    assert names_of([person]) == {"U1": "Ada L"}


def test_an_export_imported_under_another_id_has_its_own_team_as_home() -> None:
    users = [{"team_id": "T9"}] * 3 + [{"team_id": "T8"}]
    assert home_teams("T1", None, users) == {"T1", "T9"}
    assert home_teams("T8", None, users) == {"T8"}
    assert home_teams("T1", "E1", []) == {"T1", "E1"}
