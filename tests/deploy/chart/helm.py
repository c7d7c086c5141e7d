"""Helm of two majors, and what it makes of our chart."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Document: TypeAlias = dict[str, Any]

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "bindery"
MATRIX = sorted((CHART / "ci").glob("*.yaml"))
RELEASE, NAMESPACE = "shop", "push"
_SECONDS = 60


class Helm:
    """One helm program; it runs without a cluster, in an environment of its own."""

    def __init__(self, program: Path, home: Path) -> None:
        self.program, self._home = program, home

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What it answers; an exit status other than 0 is an answer."""
        environ = {"HOME": str(self._home), "PATH": os.environ["PATH"]}
        command = [str(self.program), *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_SECONDS, check=False)

    def template(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`helm template` of the chart."""
        return self.run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *arguments)

    def render(self, *values: Path, sets: Mapping[str, object] | None = None) -> list[Document]:
        """The objects that it makes of values files and of further values (JSON)."""
        done = self.template(*_given(values, sets or {}))
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]


def _given(values: Iterable[Path], sets: Mapping[str, object]) -> Sequence[str]:
    words = [word for path in values for word in ("--values", str(path))]
    return [*words, *(word for key, value in sets.items() for word in ("--set-json", f"{key}={json.dumps(value)}"))]


def of_kind(documents: Iterable[Document], *kinds: str) -> list[Document]:
    """Those of these kinds."""
    return [document for document in documents if document["kind"] in kinds]


def named(documents: Iterable[Document], kind: str, name: str) -> Document:
    """The one of this kind and name."""
    [found] = [document for document in of_kind(documents, kind) if document["metadata"]["name"] == name]
    return found


def pods(documents: Iterable[Document]) -> dict[str, Document]:
    """The spec of every pod that the objects lead to, by `Kind/name`."""
    found = {}
    for document in documents:
        label = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] == "Pod":
            found[label] = document["spec"]
        elif document["kind"] in {"Deployment", "StatefulSet", "Job"}:
            found[label] = document["spec"]["template"]["spec"]
    return found
