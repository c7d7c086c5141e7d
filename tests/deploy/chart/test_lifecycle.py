"""Roll-outs, drains and stops lose nothing: what the chart says fits what the processes do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.chart.helm import CHART, MATRIX, Document, Helm, named, of_kind

pytestmark = pytest.mark.slow
matrix = pytest.mark.parametrize("values", MATRIX, ids=lambda path: path.stem)


def _seconds(documents: list[Document], name: str) -> int:
    settings = next(d for d in of_kind(documents, "ConfigMap") if name in d["data"])
    return int(settings["data"][name])


@matrix
def test_a_stopping_pod_has_its_whole_grace(helm4: Helm, values: Path) -> None:
    """Kubernetes kills a pod later than it ends by itself: its delay, its grace, and a margin."""
    documents = helm4.render(values)
    for deployment in of_kind(documents, "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        is_api = deployment["metadata"]["labels"]["app.kubernetes.io/component"] == "api"
        delay = _seconds(documents, "BINDERY_SHUTDOWN_DELAY") if is_api else 0
        assert spec["terminationGracePeriodSeconds"] >= delay + _seconds(documents, "BINDERY_SHUTDOWN_GRACE") + 5


@matrix
def test_no_pod_is_missing_during_an_update(helm4: Helm, values: Path) -> None:
    """A new pod is ready before an old one goes."""
    for deployment in of_kind(helm4.render(values), "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@matrix
def test_the_number_of_pods_has_one_master(helm4: Helm, values: Path) -> None:
    """A Deployment that something scales states no number, or each release would reset it."""
    documents = helm4.render(values)
    scaled = [
        document["spec"]["scaleTargetRef"]["name"]
        for document in of_kind(documents, "HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert len(scaled) == len(set(scaled))
    for deployment in of_kind(documents, "Deployment"):
        assert ("replicas" in deployment["spec"]) != (deployment["metadata"]["name"] in scaled)


def test_rotating_a_secret_of_bindery_leaves_the_store_alone(helm4: Helm) -> None:
    """Its pods are replaced; the bundled Valkey is one pod, and restarting it would fail every request."""
    trial = CHART / "ci" / "trial.yaml"
    old = helm4.render(trial)
    new = helm4.render(
        trial, sets={"secrets.authToken": "another token", "secrets.authTokenOld": "an auth token for trials"}
    )
    for kind, is_same in (("StatefulSet", True), ("Deployment", False)):
        for before, after in zip(of_kind(old, kind), of_kind(new, kind), strict=True):
            assert (before["spec"]["template"] == after["spec"]["template"]) == is_same


def test_a_new_password_of_the_store_replaces_it(helm4: Helm) -> None:
    """It reads its password when it starts."""
    trial = CHART / "ci" / "trial.yaml"
    [before] = of_kind(helm4.render(trial), "StatefulSet")
    [after] = of_kind(helm4.render(trial, sets={"secrets.valkeyPassword": "x" * 32}), "StatefulSet")
    assert before["spec"]["template"] != after["spec"]["template"]


def test_drains_take_one_pod_at_a_time(helm4: Helm) -> None:
    """There is a budget for the API and one for workers, which never keep a broken pod's node from being drained."""
    budgets = of_kind(helm4.render(CHART / "ci" / "trial.yaml"), "PodDisruptionBudget")
    assert len(budgets) == 2
    for budget in budgets:
        assert (budget["spec"]["maxUnavailable"], budget["spec"]["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


@pytest.mark.parametrize("component", ["api", "worker"])
def test_probes(helm4: Helm, component: str) -> None:
    """Readiness asks what needs the store, liveness what does not: an outage of the store restarts nothing."""
    documents = helm4.render(CHART / "ci" / "extras.yaml")
    deployment = named(documents, "Deployment", f"shop-bindery-{component}")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    asked = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {name: probe["path"] for name, probe in asked.items()} == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert {probe["port"] for probe in asked.values()} == {"metrics"}
    assert {"name": "metrics", "containerPort": 9001, "protocol": "TCP"} in container["ports"]
    assert _seconds(documents, "BINDERY_METRICS_PORT") == 9001


def test_the_timing_of_probes_is_the_values(helm4: Helm) -> None:
    """A value replaces one number of a probe, and leaves the others."""
    documents = helm4.render(CHART / "ci" / "extras.yaml")
    [worker] = named(documents, "Deployment", "shop-bindery-worker")["spec"]["template"]["spec"]["containers"]
    timing = {key: value for key, value in worker["startupProbe"].items() if key != "httpGet"}
    assert timing == {"periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 12}


def test_keda_looks_at_every_lane(helm4: Helm) -> None:
    """Each lane of both ledgers of each Service has a trigger, under the key that the store uses."""
    from service.domain.jobs import LANES, Ledger  # late: of this test alone

    [scaled] = of_kind(helm4.render(CHART / "ci" / "production.yaml"), "ScaledObject")
    keys = [trigger["metadata"]["listName"] for trigger in scaled["spec"]["triggers"]]
    sids = ("IS00000000000000000000000000000001", "IS00000000000000000000000000000003")
    assert sorted(keys) == sorted(
        f"{{{sid}}}:{ledger.value}{lane}" for sid in sids for ledger in Ledger for lane in range(LANES)
    )


def test_pods_are_spread(helm4: Helm) -> None:
    """Over zones and over nodes, each component by itself."""
    documents = helm4.render(CHART / "ci" / "trial.yaml")
    for component in ("api", "worker"):
        spec = named(documents, "Deployment", f"shop-bindery-{component}")["spec"]["template"]["spec"]
        keys = [spread["topologyKey"] for spread in spec["topologySpreadConstraints"]]
        assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        for spread in spec["topologySpreadConstraints"]:
            assert spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == component
