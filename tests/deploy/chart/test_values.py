"""values.yaml, its schema and the chart's README say the same."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart.helm import CHART
from tests.deploy.chart.schemas import check, npm

pytestmark = pytest.mark.slow
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def test_the_readme_has_the_comments_of_the_values(tmp_path: Path) -> None:
    """Every value has a comment, and the README's tables are made of them."""
    copy = shutil.copy(CHART / "README.md", tmp_path)
    generator = npm() / "node_modules" / ".bin" / "readme-generator"
    command = ["node", str(generator), "-v", str(CHART / "values.yaml"), "-r", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert Path(copy).read_text() == (CHART / "README.md").read_text(), "make chart"


def _objects(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from _objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _objects(part)


def test_the_schema_is_closed() -> None:
    """No object admits unknown keys, but for those that are Kubernetes' own or free by nature."""
    is_open = [part for part in _objects(SCHEMA) if part.get("additionalProperties", True) is True]
    named = {name for name, part in SCHEMA["definitions"].items() if part in is_open}
    assert named == {"anything"}
    outside = [part for part in is_open if part not in SCHEMA["definitions"].values()]
    # Helm's own `global`, and volumes, which must have a name and no path of the host.
    assert outside == [SCHEMA["definitions"]["volumes"]["items"]]
    assert SCHEMA["properties"]["global"] in is_open


def _keys(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        if "properties" in part:
            yield from _keys(part, f"{prefix}{name}.")


def _shown(values: dict[str, Any], key: str) -> bool:
    for name in key.split("."):
        if name not in values:
            return False
        values = values[name]
    return True


def test_every_value_has_a_rule_and_every_rule_a_value() -> None:
    """The schema, which is closed, takes values.yaml; and it knows no key that values.yaml does not show."""
    check(VALUES, SCHEMA)
    ruled = {key for key in _keys(SCHEMA) if ".affinity." not in key} - {"global"}
    assert len(ruled) > 150
    assert [key for key in ruled if not _shown(VALUES, key)] == []
