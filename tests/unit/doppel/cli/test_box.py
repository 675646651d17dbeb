"""Which button says yes."""

from typing import Any

import pytest

from doppel.cli.demo.box import allow_button


def message(*action_ids: str) -> dict[str, Any]:
    elements = [{"type": "button", "action_id": action_id} for action_id in action_ids]
    return {"blocks": [{"type": "section"}, {"type": "actions", "elements": elements}]}


@pytest.mark.parametrize(
    ("found", "action_id"),
    [
        (message("consent_no", "consent_allow"), "consent_allow"),
        (message("consent_disallow"), None),
        (message(), None),
        ({"text": "no blocks"}, None),
        ({"blocks": None}, None),
    ],
)
def test_allow_is_found_by_its_action(found: dict[str, Any], action_id: str | None) -> None:
    assert allow_button(found) == action_id
