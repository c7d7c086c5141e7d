"""What the chart brings for monitoring is what `deploy/` has, and finds every process."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.deploy.chart.helm import CHART, ROOT, Helm, named, of_kind

pytestmark = pytest.mark.slow
DEPLOY = ROOT / "deploy"
COPIES = {
    "recording.yml": DEPLOY / "prometheus" / "rules" / "recording.yml",
    "alerts.yml": DEPLOY / "prometheus" / "rules" / "alerts.yml",
    "bindery.json": DEPLOY / "grafana" / "dashboards" / "bindery.json",
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_current(name: str) -> None:
    """A chart can't reach beyond its folder; what it has copies of has not changed since (`make chart`)."""
    assert (CHART / "files" / name).read_bytes() == COPIES[name].read_bytes()


def test_rules_arrive_as_they_are(helm4: Helm) -> None:
    """Every rule, templates of its own included, reaches the PrometheusRule; groups of the values come after."""
    [made] = of_kind(helm4.render(CHART / "ci" / "production.yaml"), "PrometheusRule")
    files = [yaml.safe_load(COPIES[name].read_text())["groups"] for name in ("recording.yml", "alerts.yml")]
    assert made["spec"]["groups"][:-1] == [group for groups in files for group in groups]
    assert made["spec"]["groups"][-1]["name"] == "bindery-pods"


def test_the_dashboard_arrives_as_it_is(helm4: Helm) -> None:
    """Grafana's sidecar reads the very dashboard."""
    made = named(helm4.render(CHART / "ci" / "extras.yaml"), "ConfigMap", "shop-bindery-dashboard")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(made["data"]["bindery.json"]) == json.loads(COPIES["bindery.json"].read_text())


@pytest.mark.parametrize("component", ["api", "worker"])
def test_every_process_is_scraped_once(helm4: Helm, component: str) -> None:
    """The ServiceMonitor selects one Service with the port `metrics` for each component, which leads to its pods."""
    documents = helm4.render(CHART / "ci" / "extras.yaml")
    [monitor] = of_kind(documents, "ServiceMonitor")
    [endpoint] = monitor["spec"]["endpoints"]
    labels = monitor["spec"]["selector"]["matchLabels"].items()
    services = [
        service
        for service in of_kind(documents, "Service")
        if labels <= service["metadata"]["labels"].items()
        and service["metadata"]["labels"]["app.kubernetes.io/component"] == component
        and any(port["name"] == endpoint["port"] for port in service["spec"]["ports"])
    ]
    [service] = services
    pod = named(documents, "Deployment", f"shop-bindery-{component}")["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    [container] = pod["spec"]["containers"]
    assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in container["ports"]}
