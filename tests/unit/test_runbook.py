"""What the runbook points to is there."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


def anchors(text: str) -> set[str]:
    """What the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_drill_is_a_test() -> None:
    """Each row of the drills names files of tests that exist."""
    table = RUNBOOK.split("## Drills")[1]
    rows = [
        line for line in table.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| disaster"))
    ]
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`(tests/[\w/.]+)`", row)
        assert named, row
        assert all((ROOT / path).exists() for path in named), row


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", RUNBOOK))))
def test_every_link_leads_somewhere(link: str) -> None:
    """To a heading of this page, to another page, or to a heading of that."""
    path, _, anchor = link.partition("#")
    text = RUNBOOK if not path else (ROOT / "docs" / path).read_text()
    assert not anchor or anchor in anchors(text)


def test_panels_are_those_of_the_dashboard() -> None:
    """A panel is named by its row and its title."""
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "bindery.json").read_text())
    there, row = set(), ""
    for panel in dashboard["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        there.add((row, panel["title"]))
    named = re.findall(r"\*\*(\w+)\s/\s([^*]+)\*\*", RUNBOOK.replace("**Row / Panel**", ""))
    # As many as a runbook of this length names at least; written in another way, none would be found.
    assert len(named) > 10
    assert {(row, " ".join(title.split())) for row, title in named} <= there
