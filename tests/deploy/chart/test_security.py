"""What a security review asks of the chart, for every entry of its matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart.helm import CHART, MATRIX, Document, Helm, named, of_kind, pods

pytestmark = pytest.mark.slow
matrix = pytest.mark.parametrize("values", MATRIX, ids=lambda path: path.stem)

#: Pod Security Standards, profile `restricted`: the kinds of volumes it admits.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


@pytest.mark.parametrize("written", ["--set", "--set-json"])
def test_the_user_is_the_one_that_is_asked_for(helm4: Helm, written: str) -> None:
    """Helm reads a number as one type or another, depending on where it is written."""
    wanted = (written, "podSecurity.runAsUser=1000", written, "podSecurity.fsGroup=1001")
    done = helm4.template("--values", str(CHART / "ci" / "trial.yaml"), *wanted)
    assert done.returncode == 0, done.stderr
    found = pods([document for document in yaml.safe_load_all(done.stdout) if document])
    assert found
    for spec in found.values():
        assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["fsGroup"]) == (1000, 1001)


@matrix
def test_the_restricted_profile(helm4: Helm, values: Path) -> None:
    """Every pod passes the Pod Security Standard `restricted`, and asks for more: a read-only root, no token."""
    found = pods(helm4.render(values))
    assert found
    for label, spec in found.items():
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & spec.keys(), label
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["securityContext"].get("runAsUser", 10001) == 10001
        for volume in spec.get("volumes", ()):
            assert volume.keys() - {"name"} <= VOLUMES, (label, volume)
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }
            assert not any("hostPort" in port for port in container.get("ports", ()))
            for what in ("requests", "limits"):
                assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"][what].keys(), label
            for mount in container.get("volumeMounts", ()):
                assert mount.get("readOnly") or mount["mountPath"] in {"/tmp", "/data"}, (label, mount)  # noqa: S108


@matrix
def test_nobody_gets_a_token_or_a_role(helm4: Helm, values: Path) -> None:
    """The ServiceAccount is never mounted, and may do nothing in the cluster."""
    documents = helm4.render(values)
    assert not of_kind(documents, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
    assert all(account["automountServiceAccountToken"] is False for account in of_kind(documents, "ServiceAccount"))


def _selects(selector: Document, labels: Document) -> bool:
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    among = all(labels.get(part["key"]) in part["values"] for part in selector.get("matchExpressions", ()))
    return exact and among


def _policies(documents: list[Document], label: str) -> list[Document]:
    kind, name = label.split("/")
    pod = named(documents, kind, name)
    labels = (pod if kind == "Pod" else pod["spec"]["template"])["metadata"]["labels"]
    return [p["spec"] for p in of_kind(documents, "NetworkPolicy") if _selects(p["spec"]["podSelector"], labels)]


@matrix
def test_networks_are_denied_by_default(helm4: Helm, values: Path) -> None:
    """Where there are policies, every pod has one that denies all, and nothing is open in egress but named ports."""
    documents = helm4.render(values)
    if not of_kind(documents, "NetworkPolicy"):
        pytest.skip("this entry turns them off")
    for label in pods(documents):
        policies = _policies(documents, label)
        assert {"policyTypes": ["Ingress", "Egress"]} in [
            {key: value for key, value in policy.items() if key != "podSelector"} for policy in policies
        ], label
        for policy in policies:
            for rule in policy.get("egress", ()):
                assert rule["ports"], label


def _egress(documents: list[Document], label: str) -> set[Any]:
    rules = [rule for policy in _policies(documents, label) for rule in policy.get("egress", ())]
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_each_pod_reaches_what_it_needs_and_no_more(helm4: Helm) -> None:
    """With a bundled store: names and the store; the test pod names and the API; the store itself nothing."""
    documents = helm4.render(CHART / "ci" / "trial.yaml")
    assert _egress(documents, "Deployment/shop-bindery-api") == {53, 6379}
    assert _egress(documents, "Deployment/shop-bindery-worker") == {53, 6379}
    assert _egress(documents, "Job/shop-bindery-store-check") == {53, 6379}
    assert _egress(documents, "Pod/shop-bindery-smoke") == {53, "http"}
    assert _egress(documents, "StatefulSet/shop-bindery-valkey") == set()


def test_outside_stores_and_upstreams_are_named(helm4: Helm) -> None:
    """With an outside store, its peers and ports are those of the values; upstreams and other peers likewise."""
    documents = helm4.render(CHART / "ci" / "production.yaml")
    assert _egress(documents, "Deployment/shop-bindery-worker") == {53, 6379, 26379, 26380, 443, 4318}
    rules = [rule for p in _policies(documents, "Deployment/shop-bindery-api") for rule in p.get("egress", ())]
    assert all(rule["to"] for rule in rules)


def _callers(documents: list[Document], label: str) -> set[tuple[str, str]]:
    rules = [rule for policy in _policies(documents, label) for rule in policy.get("ingress", ())]
    return {
        (peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"])
        for rule in rules
        for peer in rule["from"]
        for port in rule["ports"]
        if "namespaceSelector" in peer
    }


def test_who_may_call(helm4: Helm) -> None:
    """The API is called by the clients of the values; Prometheus scrapes it and workers; nobody else calls these."""
    documents = helm4.render(CHART / "ci" / "production.yaml")
    assert _callers(documents, "Deployment/shop-bindery-api") == {("gateways", "http"), ("monitoring", "metrics")}
    assert _callers(documents, "Deployment/shop-bindery-worker") == {("monitoring", "metrics")}


@pytest.mark.parametrize("component", ["api", "worker"])
def test_services_select_no_other_pods(helm4: Helm, component: str) -> None:
    """What selects pods of one component selects no others."""
    documents = helm4.render(CHART / "ci" / "trial.yaml")
    other = {"api": "worker", "worker": "api"}[component]
    labels = named(documents, "Deployment", f"shop-bindery-{other}")["spec"]["template"]["metadata"]["labels"]
    selecting = [
        document["spec"]["selector"].get("matchLabels", document["spec"]["selector"])
        for document in of_kind(documents, "Service", "Deployment", "PodDisruptionBudget")
        if document["metadata"]["labels"].get("app.kubernetes.io/component") == component
    ]
    assert selecting
    assert not any(selector.items() <= labels.items() for selector in selecting)
