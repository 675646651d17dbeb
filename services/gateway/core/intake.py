"""What Slack posts, as one `SlackEvent`; or the reason why it is none."""

import json
from datetime import datetime
from typing import Any, cast
from urllib.parse import parse_qsl

from pydantic import ValidationError

from proto.slack import EventCallback, Interaction, SlackEvent, SlashCommand

MAX_FIELDS = 100


class NotUnderstood(Exception):
    """The request is not one of Slack's: 400, and nothing is published."""


def parse_json(raw: bytes) -> dict[str, Any]:
    """A JSON object. Raises NotUnderstood."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("not JSON") from error
    if not isinstance(found, dict):
        raise NotUnderstood("not an object")
    return cast("dict[str, Any]", found)


def parse_form(raw: bytes) -> dict[str, str]:
    """The fields of a form; the first of each name counts. Raises NotUnderstood."""
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise NotUnderstood("not a form") from error
    return dict(reversed(pairs))


def event_of(body: dict[str, Any], received_at: datetime) -> SlackEvent:
    """An event's envelope. Raises NotUnderstood."""
    return _event(EventCallback, body, received_at)


def command_of(form: dict[str, str], received_at: datetime) -> SlackEvent:
    """A slash command. Raises NotUnderstood."""
    return _event(SlashCommand, form, received_at)


def interaction_of(payload: dict[str, Any], received_at: datetime) -> SlackEvent:
    """A pressed button. Raises NotUnderstood."""
    return _event(Interaction, payload, received_at)


def is_ssl_check(form: dict[str, str]) -> bool:
    """Slack looks at our certificate, and asks for nothing."""
    return form.get("ssl_check") == "1" and "command" not in form and "payload" not in form


def _event(
    kind: type[EventCallback] | type[SlashCommand] | type[Interaction],
    fields: dict[str, Any],
    received_at: datetime,
) -> SlackEvent:
    try:
        body = kind.model_validate({key: value for key, value in fields.items() if key != "kind"})
    except (ValidationError, RecursionError) as error:
        raise NotUnderstood("fields are missing or wrong") from error
    return SlackEvent(received_at=received_at, payload=body)
