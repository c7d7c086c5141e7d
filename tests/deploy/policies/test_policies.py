"""The image's recipe and all that the chart makes pass the linters of policies; each skip has its reason beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.chart.helm import MATRIX, ROOT, Helm

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
PROGRAMS = ROOT / ".venv" / "policies" / "bin"
SECONDS = 300

#: Entry of the matrix -> checks that it fails on purpose.
ON_PURPOSE = {
    # It turns NetworkPolicies off, and lets the platform choose the user.
    "values-only": ("CKV2_K8S_6", "CKV_K8S_40"),
}


def checkov(*arguments: str) -> tuple[int, str]:
    """Its exit status and what it says."""
    command = [str(PROGRAMS / "checkov"), "--config-file", str(HERE / "checkov.yaml"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.returncode, done.stdout + done.stderr


def skips(purposes: tuple[str, ...]) -> str:
    """What is skipped beside these: the configuration's skips are replaced by those of the command line."""
    always = yaml.safe_load((HERE / "checkov.yaml").read_text())["skip-check"]
    return ",".join([*always, *purposes])


def test_checkov_passes_the_chart(helm4: Helm, tmp_path: Path) -> None:
    """checkov finds nothing in the objects of any entry, but what one fails on purpose."""
    asked = {tuple(ON_PURPOSE.get(values.stem, ())) for values in MATRIX}
    for number, purposes in enumerate(sorted(asked)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for values in MATRIX:
            if tuple(ON_PURPOSE.get(values.stem, ())) == purposes:
                (folder / f"{values.stem}.yaml").write_text(helm4.template("--values", str(values)).stdout)
        status, said = checkov("--directory", str(folder), "--skip-check", skips(purposes))
        assert (status, "Failed checks: 0" in said) == (0, True), said


def test_checkov_is_awake(helm4: Helm, tmp_path: Path) -> None:
    """A container that could write to its root would be found."""
    rendered = helm4.template("--values", str(MATRIX[0])).stdout
    (tmp_path / "rendered.yaml").write_text(rendered.replace("readOnlyRootFilesystem: true", ""))
    status, said = checkov("--directory", str(tmp_path))
    assert status == 1
    assert "CKV_K8S_22" in said


def test_checkov_passes_the_recipe() -> None:
    """checkov finds nothing in the image's recipe."""
    status, said = checkov("--file", str(ROOT / "deploy" / "Dockerfile"))
    assert (status, "Failed checks: 0" in said) == (0, True), said


def test_hadolint_passes_the_recipe(tmp_path: Path) -> None:
    """hadolint finds nothing in the image's recipe, and would find a careless step."""
    command = [str(PROGRAMS / "hadolint"), "--no-color", "--config", str(HERE / "hadolint.yaml")]
    recipe = ROOT / "deploy" / "Dockerfile"
    done = subprocess.run([*command, str(recipe)], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    careless = tmp_path / "Dockerfile"
    careless.write_text(f"{recipe.read_text()}USER root\n")
    done = subprocess.run([*command, str(careless)], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "DL3002" in done.stdout
