"""What a kubelet makes of a rendered container: its environment and its files."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.deploy.chart.helm import Document, of_kind

Secrets = Mapping[str, Mapping[str, str]]

#: Secrets that a platform would have, for the entries of the matrix that name them.
EXTERNAL: Secrets = {
    "bindery-secrets": {
        "secret-key": "k" * 32,
        "auth-token": "t" * 16,
        "jwt-secret": "j" * 32,
        "BINDERY_UPSTREAM_SECRET": "of the account there",
        "BINDERY_SECRET_KEY": "k" * 32,
        "BINDERY_AUTH_TOKEN": "t" * 16,
        "BINDERY_JWT_SECRET": "j" * 32,
    },
    "bindery": {
        "BINDERY_SECRET_KEY": "k" * 32,
        "BINDERY_AUTH_TOKEN": "t" * 16,
        "BINDERY_JWT_SECRET": "j" * 32,
        "BINDERY_REDIS_URL": "redis://store.example.com",
        "BINDERY_QUEUE_URL": "redis://queue.example.com",
    },
    "valkey": {"password": "p%40ss", "sentinel-password": "s3ntinel"},
    "queue": {"password": "queue-password"},
}


def secrets_of(documents: Iterable[Document]) -> dict[str, dict[str, str]]:
    """The Secrets that the chart makes, and those of the platform."""
    made = {
        secret["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        for secret in of_kind(documents, "Secret")
    }
    return {**{name: dict(keys) for name, keys in EXTERNAL.items()}, **made}


def maps_of(documents: Iterable[Document]) -> dict[str, dict[str, str]]:
    """The ConfigMaps that the chart makes."""
    return {found["metadata"]["name"]: found["data"] for found in of_kind(documents, "ConfigMap")}


def environment(container: Document, documents: list[Document]) -> dict[str, str]:
    """The variables of a container, with `$(…)` filled in from those before, as Kubernetes does it."""
    secrets, maps = secrets_of(documents), maps_of(documents)
    environ: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        environ |= maps[source["configMapRef"]["name"]]
    for variable in container.get("env", ()):
        name, origin = variable["name"], variable.get("valueFrom", {})
        if "value" in variable:
            environ[name] = re.sub(r"\$\((\w+)\)", lambda found: environ.get(found[1], found[0]), variable["value"])
        elif "secretKeyRef" in origin:
            key = origin["secretKeyRef"]
            environ[name] = secrets[key["name"]][key["key"]]
        else:
            environ[name] = "of the pod"
    return environ


def files(spec: Document, container: Document, documents: list[Document], root: Path) -> None:
    """Write what the mounts of a container show, from Secrets and ConfigMaps, beneath `root`."""
    secrets, maps = secrets_of(documents), maps_of(documents)
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        folder = root / mount["mountPath"].lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        if "secret" in volume:
            data = secrets.get(volume["secret"]["secretName"], {})
            for item in volume["secret"]["items"]:
                if item["key"] in data:
                    (folder / item["path"]).write_text(data[item["key"]])
        elif volume.get("configMap", {}).get("name") in maps:
            for name, text in maps[volume["configMap"]["name"]].items():
                (folder / name).write_text(text)
