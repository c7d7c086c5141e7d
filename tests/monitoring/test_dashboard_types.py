"""The dashboard is what Grafana understands: checked by Grafana's own types, those of each kind of panel included."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.deploy.chart.helm import ROOT
from tests.deploy.chart.schemas import npm

pytestmark = pytest.mark.slow

DASHBOARD = (ROOT / "deploy" / "grafana" / "dashboards" / "bindery.json").read_text()
OPTIONS = ("--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler")


def faults(dashboard: str, directory: Path) -> str:
    """What the compiler says of it."""
    modules = npm() / "node_modules"
    (directory / "node_modules").symlink_to(modules)
    (directory / "checked.ts").write_text((ROOT / "tests" / "monitoring" / "dashboard.ts").read_text())
    text = f'import type {{ Checked }} from "./checked";\nexport const dashboard: Checked = {dashboard};\n'
    (directory / "dashboard.ts").write_text(text)
    command = ["node", str(modules / "typescript/bin/tsc"), *OPTIONS, "--target", "es2022", "dashboard.ts"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False).stdout


def test_it_is_of_grafanas_types(tmp_path: Path) -> None:
    """No key that it does not know, no value that it does not take."""
    assert faults(DASHBOARD, tmp_path) == ""


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ((), "tittle", "Bindery"),
        (("options",), "legends", {}),
        (("options", "legend"), "displayMode", "lists"),
        (("fieldConfig", "defaults", "custom"), "fillOpacity", "10"),
        (("fieldConfig", "defaults"), "units", "s"),
    ],
)
def test_its_types_are_strict(tmp_path: Path, where: tuple[str, ...], key: str, value: object) -> None:
    """A misspelt key and a wrong value of a graph are found."""
    wrong = json.loads(DASHBOARD)
    place = next(panel for panel in wrong["panels"] if panel["type"] == "timeseries")
    for step in where:
        place = place[step]
    place[key] = value
    assert faults(json.dumps(wrong), tmp_path) != ""
