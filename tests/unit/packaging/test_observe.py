"""Alerts and dashboard ask for metrics that exist, and each alert fires when it should."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
OBSERVE = ROOT / "deploy" / "observe"
OTHERS = {  # of Prometheus itself, of its client, of FastStream
    "up",
    "process_start_time_seconds",
    "process_resident_memory_bytes",
    "faststream_received_processed_messages_total",
}


def exported() -> set[str]:
    """The names that our services give their metrics, with what Prometheus makes of them."""
    sources = [file.read_text() for room in ("services", "doppel") for file in (ROOT / room).rglob("*.py")]
    names = set(re.findall(r'"(doppel_[a-z0-9_]+)"', "\n".join(sources)))
    return (
        names | OTHERS | {f"{name}{end}" for name in names for end in ("_total", "_bucket", "_sum", "_count")}
    )


def asked(expression: str) -> set[str]:
    """The metrics of an expression."""
    return set(re.findall(r"\b(up|doppel_\w+|process_\w+|faststream_\w+)\b(?=[{\[\s)]|$)", expression))


def expressions() -> list[str]:
    rules = yaml.safe_load((OBSERVE / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((OBSERVE / "dashboard.json").read_text())["panels"]
    return [rule["expr"] for rule in rules] + [t["expr"] for panel in panels for t in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_what_is_asked_for_is_exported(expression: str) -> None:
    names = asked(expression)
    assert names
    assert names - exported() == set()


def test_every_alert_says_what_to_do_and_is_tested() -> None:
    rules = yaml.safe_load((OBSERVE / "alerts.yml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((OBSERVE / "alerts.test.yml").read_text())["tests"]
    fires = {
        case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")
    }
    silent = {case["alertname"] for case in tests[0]["alert_rule_test"]}
    assert {rule["alert"] for rule in rules} == fires == silent
    assert all(rule["annotations"]["remedy"] for rule in rules)


def test_the_alerts_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    done = subprocess.run(
        [promtool, "test", "rules", "alerts.test.yml"],
        cwd=OBSERVE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
