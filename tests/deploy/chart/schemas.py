"""Strict schemas of everything the chart makes: Kubernetes' own, and those of the operators whose resources we write.

KEDA 2.16 and the Prometheus operator 0.80 come as the models of PyPI's cloudcoil packages, the Gateway API 1.0 as npm's
@kubernetes-models/gateway-api. All are closed here: Kubernetes drops unknown fields silently, a test must not.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from typing import Any

from tests.deploy.chart.helm import ROOT, Document

SUPPORTED = ("1.31", "1.37")
"""The oldest and the newest Kubernetes that the chart is for."""

_NPM = ROOT / "tests" / "deploy" / "npm"
_INSTALL_SECONDS, _MODEL_SECONDS = 300, 60
_OPERATORS = {
    "ScaledObject": "cloudcoil.models.keda.v1alpha1",
    "ServiceMonitor": "cloudcoil.models.prometheus_operator.v1",
    "PrometheusRule": "cloudcoil.models.prometheus_operator.v1",
}


class Invalid(Exception):
    """A document that does not follow its schema; the text says where."""


def validate(document: Document, kubernetes: str) -> None:
    """Check one object, for this version of Kubernetes.

    Raises:
        Invalid: it breaks a rule, has fields that nobody knows, or is of a kind of which nothing is known.
    """
    kind = document["kind"]
    if kind == "HTTPRoute":
        check(document, _gateway_schema(kind))
    elif kind in _OPERATORS:
        check(document, _operator_schema(kind))
    else:
        import kubernetes_validate  # late, as in check()

        try:
            kubernetes_validate.validate(document, kubernetes, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            raise Invalid(f"{kind}: {error.message}") from None


def check(document: Any, schema: Any) -> None:
    """Check a document by a JSON schema, which is checked itself.

    Raises:
        Invalid: the document does not follow it.
    """
    import jsonschema  # late: `make test` collects these tests, and does without what they need

    kind = jsonschema.Draft7Validator if "draft-07" in str(schema.get("$schema")) else jsonschema.Draft202012Validator
    kind.check_schema(schema)
    for error in kind(schema).iter_errors(document):
        raise Invalid(f"{'.'.join(map(str, error.absolute_path))}: {error.message}")


@functools.cache
def _operator_schema(kind: str) -> Any:
    # Of another environment, or every test would run with what the models bring along.
    program = f"import json, {_OPERATORS[kind]} as models; print(json.dumps(models.{kind}.model_json_schema()))"
    command = [str(ROOT / ".venv" / "policies" / "bin" / "python"), "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_MODEL_SECONDS, check=True)
    return _closed(json.loads(done.stdout))


@functools.cache
def _gateway_schema(kind: str) -> Any:
    source = (
        npm() / "node_modules/@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1" / f"{kind}.js"
    ).read_text()
    schema = json.loads(source.split("const schema = ", 1)[1].split("};\n", 1)[0] + "}")
    # Its metadata are Kubernetes' own.
    schema["properties"]["metadata"] = {"type": "object"}
    return _closed(schema)


def npm() -> Any:
    """The folder of what is locked from npm, installed once, and again when the lock changes."""
    lock, stamp = _NPM / "package-lock.json", _NPM / "node_modules" / ".locked"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        assert shutil.which("npm"), "npm is missing; the schemas of the Gateway API come by it"
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(install, cwd=_NPM, check=False, timeout=_INSTALL_SECONDS, capture_output=True, text=True)
        assert done.returncode == 0, f"npm could not install the schemas: {done.stderr[-2000:]}"
        stamp.write_bytes(lock.read_bytes())
    return _NPM


def _closed(schema: Any) -> Any:
    """The same schema, without room for unknown fields."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if isinstance(closed.get("pattern"), str):
        # Go allows its flags anywhere, Python at the beginning alone.
        closed["pattern"] = closed["pattern"].replace("^(?i)", "(?i)^")
    if closed.get("nullable") and isinstance(closed.get("type"), str):
        closed["type"] = [closed["type"], "null"]
    # A property may itself be called `properties`: then it is no keyword.
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
