"""Helm of both majors, as `make slow` has unpacked them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.chart.helm import ROOT, Helm

TOOLS = ROOT / ".venv" / "tools"
MAJORS = {"v3": "34", "v4": "37"}
"""Major of helm -> the folder that has it."""


def _helm(major: str, home: Path) -> Helm:
    helm = Helm(TOOLS / MAJORS[major] / "helm", home)
    assert helm.program.exists(), "helm is missing: make .venv/.installed-deploy"
    assert helm.run("version", "--short").stdout.startswith(major)
    return helm


@pytest.fixture(scope="session", params=MAJORS)
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """A helm, of each major in turn."""
    return _helm(request.param, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def helm4(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The newer one, where both do the same."""
    return _helm("v4", tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def helm3(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The older one."""
    return _helm("v3", tmp_path_factory.mktemp("helm"))
