"""Nonsense in the values is refused before anything is installed, by a message that names the key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.deploy.chart.helm import CHART, Helm

pytestmark = pytest.mark.slow

SECRET = "hunter2-hunter2"
TRIAL, PRODUCTION, CLUSTER = "trial", "production", "cluster"

BAD: list[tuple[str, str, Any]] = [
    # unknown keys, at every depth
    (TRIAL, "replicaCount", 3),
    (TRIAL, "api.replica", 3),
    (TRIAL, "settings.redisUrl", "redis://x"),
    (TRIAL, "redis.tls.insecure", True),
    (TRIAL, "api.resources.limit", {"cpu": 1}),
    (TRIAL, "worker.autoscaling.keda.lanes", 8),
    (TRIAL, "valkey.persistence.enabled", False),
    # of the wrong type or form
    (TRIAL, "api.replicas", "three"),
    (TRIAL, "api.replicas", 0),
    (TRIAL, "api.port", 80),
    (TRIAL, "api.host", "localhost"),
    (TRIAL, "api.maxSurge", 0),
    (TRIAL, "api.startupProbe", {"periodSeconds": 0}),
    (TRIAL, "api.resources", {"limits": {"memory": "lots"}}),
    (TRIAL, "api.extraEnv", [{"nane": "X"}]),
    (TRIAL, "api.extraVolumes", [{"name": "root", "hostPath": {"path": "/"}}]),
    (TRIAL, "image.tag", "not a tag"),
    (TRIAL, "image.digest", "sha256:abc"),
    (TRIAL, "image.pullPolicy", "Sometimes"),
    (TRIAL, "settings.accountSid", "AC123"),
    (TRIAL, "settings.serviceSid", "AC00000000000000000000000000000001"),
    (TRIAL, "settings.shutdownGrace", 0),
    (TRIAL, "settings.redisTimeout", 0.01),
    (TRIAL, "settings.redisReplicas", 10),
    (TRIAL, "settings.jwtMaxTtl", 5),
    (TRIAL, "settings.capPolicy", "newest"),
    (TRIAL, "settings.logLevel", "loud"),
    (TRIAL, "settings.publicUrl", "bindery.example.com"),
    (TRIAL, "settings.trustedProxies", ["everyone"]),
    (TRIAL, "settings.appTags", []),
    (TRIAL, "settings.eventsMax", 0),
    (TRIAL, "secrets.secretKey", SECRET),
    (TRIAL, "secrets.authToken", "short"),
    (TRIAL, "secrets.jwtSecret", SECRET),
    (TRIAL, "secrets.valkeyPassword", "not-letters-and-digits"),
    (TRIAL, "secrets.apiKeys", f"SK00000000000000000000000000000001={SECRET}"),
    (TRIAL, "service.type", "ExternalName"),
    (TRIAL, "serviceMonitor.interval", "often"),
    (TRIAL, "metrics.port", 80),
    (TRIAL, "metrics.port", 8080),
    (TRIAL, "settings.traces", "jaeger"),
    (TRIAL, "settings.shutdownDelay", -1),
    (TRIAL, "settings.keepAlive", 0),
    (TRIAL, "worker.livenessProbe", {"exec": {"command": ["true"]}}),
    (TRIAL, "podSecurity.runAsUser", 0),
    (TRIAL, "networkPolicy.clients", [{"everyone": True}]),
    (TRIAL, "networkPolicy.dns.to", []),
    (TRIAL, "topologySpread.whenUnsatisfiable", "Maybe"),
    (TRIAL, "valkey.appendfsync", "no"),
    (TRIAL, "valkey.maxmemory", "384 MB"),
    (TRIAL, "valkey.persistence.size", "8"),
    (TRIAL, "worker.autoscaling.kind", "vpa"),
    (TRIAL, "worker.autoscaling.kind", "keda"),
    (TRIAL, "storeCheck.hooks", "post-install,after-lunch"),
    (TRIAL, "storeCheck.hooks", "pre-install"),
    (PRODUCTION, "redis.hosts", ["two words"]),
    (PRODUCTION, "redis.mode", "replicated"),
    (PRODUCTION, "queue.mode", "cluster"),
    (PRODUCTION, "settings.services", [{"sid": "IS1", "name": "x"}]),
    (PRODUCTION, "httpRoute.path", "v1"),
    (TRIAL, "settings.upstream.notifyUrl", "notify.twilio.com"),
    (TRIAL, "settings.upstream.user", "me"),
    (TRIAL, "settings.upstream.rate", 0),
    (TRIAL, "settings.upstream.vanished", "ignore"),
    (PRODUCTION, "settings.services", [{"sid": f"IS{1:032}", "name": "x", "chat_upstream": {"secret": SECRET}}]),
    # what spans keys
    (TRIAL, "settings.upstream.timeout", 2),
    (TRIAL, "settings.upstream.longestRequest", 5),
    (PRODUCTION, "settings.upstream.user", ""),
    (PRODUCTION, "networkPolicy.upstream.to", []),
    (TRIAL, "secrets.existingSecret", "bindery"),
    (TRIAL, "secrets.jwtSecret", ""),
    (TRIAL, "secrets.valkeyPassword", ""),
    (TRIAL, "settings.accountSid", ""),
    (TRIAL, "settings.serviceSid", ""),
    (TRIAL, "settings.redisReplicas", 1),
    (TRIAL, "redis.hosts", ["a.svc"]),
    (TRIAL, "redis.url", f"http://:{SECRET}@x"),
    (TRIAL, "redis.username", "me"),
    (TRIAL, "redis.tls.enabled", True),
    (TRIAL, "queue.url", f"redis+cluster://:{SECRET}@x"),
    (TRIAL, "valkey.enabled", False),
    (TRIAL, "api.autoscaling.maxReplicas", 1),
    (PRODUCTION, "redis.master", ""),
    (PRODUCTION, "redis.passwordSecret.name", ""),
    (PRODUCTION, "redis.tls.enabled", False),
    (CLUSTER, "redis.sentinelPasswordSecret.name", "valkey"),
    (PRODUCTION, "redis.mode", "cluster"),
    (PRODUCTION, "redis.mode", "single"),
    (PRODUCTION, "settings.serviceSid", "IS00000000000000000000000000000001"),
    (PRODUCTION, "worker.autoscaling.keda.trigger", "prometheus"),
    (PRODUCTION, "ingress.enabled", True),
]


MISSING = {
    "ingress.enabled": "ingress.hosts: must name a host",
    "httpRoute.enabled": "httpRoute.parentRefs: must name a Gateway",
}
"""What is turned on -> what then is missing."""


@pytest.mark.parametrize(("key", "said"), MISSING.items())
def test_what_is_missing_is_named(helm: Helm, key: str, said: str) -> None:
    """Turning something on without what it needs names what it needs."""
    done = helm.template("--values", str(CHART / "ci" / "trial.yaml"), "--set", f"{key}=true")
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize(("entry", "key", "value"), BAD, ids=[f"{key}-{n}" for n, (_, key, _) in enumerate(BAD)])
def test_refused_by_name(helm: Helm, entry: str, key: str, value: Any) -> None:
    """`helm template` fails and names the key, on both majors; it repeats no secret."""
    values = CHART / "ci" / f"{entry}.yaml"
    done = helm.template("--values", str(values), "--set-json", f"{key}={json.dumps(value)}")
    assert done.returncode != 0
    said = done.stderr.replace("/", ".").replace("'", "")
    last = key.rsplit(".", 1)[-1]
    assert last in said, done.stderr
    if entry == TRIAL:
        assert key.split(".", 1)[0] in said, done.stderr
    assert SECRET not in done.stderr


def test_nothing_given_is_refused_by_name(helm: Helm) -> None:
    """The bare chart says what it needs first."""
    done = helm.template()
    assert done.returncode != 0
    assert "secrets.secretKey: must be set, or secrets.existingSecret" in done.stderr


def test_repeated_services_are_refused(helm: Helm) -> None:
    """Two Services of one SID, or of one name, are a mistake."""
    services = [{"sid": f"IS{n:032}", "name": "same"} for n in (1, 2)]
    values = CHART / "ci" / "production.yaml"
    done = helm.template("--values", str(values), "--set-json", f"settings.services={json.dumps(services)}")
    assert done.returncode != 0
    assert "settings.services.1.name: same is there twice" in done.stderr


def test_an_old_kubernetes_is_refused(helm: Helm) -> None:
    """A cluster without what the chart relies on is named before anything is made."""
    done = helm.template("--values", str(CHART / "ci" / "trial.yaml"), "--kube-version", "1.30.0")
    assert done.returncode != 0
    assert "1.31.0" in done.stderr
