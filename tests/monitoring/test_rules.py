"""The rules by themselves: they can be loaded, each alert is seen firing and silent, and the runbook knows it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.monitoring.prometheus import DEPLOY, tool

PROMETHEUS = DEPLOY / "prometheus"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()


def alerts() -> list[str]:
    """Every alert's name."""
    return re.findall(r"- alert: (\w+)", (PROMETHEUS / "rules" / "alerts.yml").read_text())


def promtool(*words: str) -> str:
    """Run it; answers what it prints, which is why the test fails if it fails."""
    done = subprocess.run([tool("promtool"), *words], capture_output=True, text=True, check=False, cwd=PROMETHEUS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    """As Prometheus loads them."""
    assert "SUCCESS" in promtool("check", "rules", "rules/recording.yml", "rules/alerts.yml")


@pytest.mark.slow
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_at_their_causes_alone(path: Path) -> None:
    """The scenarios beside the rules."""
    assert "SUCCESS" in promtool("test", "rules", str(path))


def test_each_alert_is_seen_firing_and_silent() -> None:
    """In some scenario each."""
    text = "\n".join(path.read_text() for path in TESTS)
    # An expectation and, after the line of its time, what is expected.
    expected = re.findall(r'alertname="(\w+)",alertstate="firing"}\n +eval_time: \w+\n +exp_samples:( \[\])?', text)
    assert {name for name, silent in expected if not silent} == set(alerts())
    assert {name for name, silent in expected if silent} >= set(alerts()) - {"BinderyVersionsMixed"}


def test_the_runbook_knows_each_alert() -> None:
    """Under a heading of its own, which the alert names."""
    text = (PROMETHEUS / "rules" / "alerts.yml").read_text()
    headings = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert [name for name in headings if name.startswith("Bindery")] == alerts()
    assert re.findall(r"runbook: docs/runbook\.md#(\w+)", text) == [name.lower() for name in alerts()]
