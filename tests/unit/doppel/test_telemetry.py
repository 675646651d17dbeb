"""Logs carry ids and places, never what people wrote."""

import json
import logging

import pytest

from doppel.telemetry import JsonFormatter, RedactSecrets, TextFormatter, stack_of


def record_of(message: str, **extra: object) -> logging.LogRecord:
    return logging.getLogger("doppel").makeRecord(
        "doppel", logging.INFO, __file__, 1, message, (), None, extra=extra
    )


def test_a_token_leaves_the_line() -> None:
    record = record_of("calling with xoxb-12-abc and Bearer abc.def")
    RedactSecrets().filter(record)
    assert "abc" not in record.getMessage()


def test_an_exception_is_logged_without_its_text() -> None:
    with pytest.raises(ValueError, match="plan") as caught:
        int("Ada wrote: my secret plan")
    assert "plan" not in stack_of(caught.value)
    error = (caught.type, caught.value, caught.tb)
    record = logging.getLogger("x").makeRecord("x", logging.ERROR, __file__, 1, "failed", (), error)
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record)
        assert "plan" not in line
        assert "ValueError" in line


def test_extras_are_fields() -> None:
    entry = json.loads(JsonFormatter().format(record_of("adapter loaded", run_id="r1")))
    assert (entry["event"], entry["run_id"]) == ("adapter loaded", "r1")
