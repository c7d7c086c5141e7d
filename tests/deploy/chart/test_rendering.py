"""What the chart makes of every entry of its matrix is valid, on both majors of helm."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from service import __version__
from tests.deploy.chart.helm import CHART, MATRIX, Helm, of_kind, pods
from tests.deploy.chart.schemas import SUPPORTED, Invalid, validate

pytestmark = pytest.mark.slow
matrix = pytest.mark.parametrize("values", MATRIX, ids=lambda path: path.stem)


@matrix
def test_lint_is_strict_and_silent(helm: Helm, values: Path) -> None:
    """`helm lint --strict` has nothing to say."""
    done = helm.run("lint", "--strict", "--quiet", str(CHART), "--values", str(values))
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout


@matrix
@pytest.mark.parametrize("kubernetes", SUPPORTED)
def test_every_object_is_valid(helm: Helm, values: Path, kubernetes: str) -> None:
    """Every object has a schema, for the oldest and the newest Kubernetes, and no field that nobody knows."""
    documents = helm.render(values)
    assert len(documents) > 4
    for document in documents:
        validate(document, kubernetes)


@matrix
def test_both_majors_make_the_same(helm3: Helm, helm4: Helm, values: Path) -> None:
    """Neither major of helm makes more, less or other objects."""
    assert helm3.render(values) == helm4.render(values)


@matrix
def test_rendering_twice_changes_nothing(helm4: Helm, values: Path) -> None:
    """Nothing is drawn by chance: what a repository of releases compares stays the same."""
    assert helm4.render(values) == helm4.render(values)


def test_the_matrix_has_every_kind(helm4: Helm) -> None:
    """Among the entries, every kind of object that the templates can make is made."""
    templates = [path.read_text() for path in (CHART / "templates").rglob("*.yaml")]
    possible = {
        line.removeprefix("kind: ") for text in templates for line in text.splitlines() if line.startswith("kind: ")
    }
    made = {document["kind"] for values in MATRIX for document in helm4.render(values)}
    assert made == possible
    assert {"HTTPRoute", "Ingress", "ScaledObject", "HorizontalPodAutoscaler", "StatefulSet"} <= made


@pytest.mark.parametrize("kind", ["ScaledObject", "ServiceMonitor", "PrometheusRule", "HTTPRoute", "Deployment"])
def test_an_unknown_field_is_seen(helm4: Helm, kind: str) -> None:
    """The schemas are closed: a misspelt field would be found."""
    [document] = of_kind(helm4.render(CHART / "ci" / "production.yaml"), kind)[:1]
    validate(document, SUPPORTED[1])
    document["spec"]["unknwon"] = 1
    with pytest.raises(Invalid, match="unknwon"):
        validate(document, SUPPORTED[1])


def test_the_chart_is_of_this_version() -> None:
    """The chart installs the version that it lies beside."""
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def test_names_stay_within_their_limits(helm4: Helm) -> None:
    """However long the name of a release, no name of an object is too long for a label or a host."""
    done = helm4.run("template", "r" * 53, str(CHART), "--values", str(CHART / "ci" / "trial.yaml"))
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    assert pods(documents)
    assert max(len(document["metadata"]["name"]) for document in documents) <= 63


@matrix
def test_notes_say_what_to_do_next(helm4: Helm, values: Path) -> None:
    """After an install, NOTES.txt names the next commands, and no secret."""
    done = helm4.run("install", "shop", str(CHART), "--dry-run=client", "--values", str(values))
    assert done.returncode == 0, done.stderr
    notes = done.stdout.split("NOTES:", 1)[1]
    assert "rollout status deployment/" in notes
    given = yaml.safe_load(values.read_text())["secrets"]
    assert not any(value in notes for key, value in given.items() if isinstance(value, str) and key != "existingSecret")
