"""The metrics as a whole: what they are called, and that nothing a caller sends becomes a label."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry import catalogue
from service.telemetry.exposition import render
from service.telemetry.requests import observe_request

RESERVED = {"job", "instance", "service", "namespace", "pod", "container", "endpoint", "node", "le", "quantile"}


def declared() -> list[MetricWrapperBase]:
    """Every metric of the catalogue."""
    return [metric for metric in vars(catalogue).values() if isinstance(metric, Counter | Gauge | Histogram)]


def test_names_and_labels_keep_to_the_conventions() -> None:
    """One prefix, base units, and no label that Prometheus or Kubernetes set themselves."""
    assert len(declared()) > 20
    for metric in declared():
        described = next(iter(metric.describe()))
        assert described.name.startswith("bindery_")
        assert described.documentation
        if described.type == "histogram":
            assert described.name.endswith("_seconds")
        assert not RESERVED & set(metric._labelnames)


def samples(name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """What is shown of a name, by labels."""
    body, media_type = render("text/plain")
    assert media_type.startswith("text/plain")
    families = text_string_to_metric_families(body.decode())
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_what_a_caller_sends_is_no_label() -> None:
    """Methods that nobody knows, paths without a route and requests without an answer are one value each."""
    before = samples("bindery_request_duration_seconds_count")
    for n in range(50):
        observe_request(f"METHOD{n}", "-", 404, 0.0)
    observe_request("GET", "-", 0, 0.0)
    after = samples("bindery_request_duration_seconds_count")
    new = {labels for labels in after if after[labels] != before.get(labels, 0.0)}
    assert {tuple(dict(labels)[name] for name in ("method", "route", "status")) for labels in new} == {
        ("other", "unmatched", "404"),
        ("GET", "unmatched", "none"),
    }


def test_the_process_shows_itself() -> None:
    """Memory, CPU time and file descriptors come with what is ours."""
    assert samples("process_resident_memory_bytes")
    assert samples("process_open_fds")


_ONE = """
from service.telemetry.catalogue import EVENTS, QUEUE_LOSSES
QUEUE_LOSSES.inc({times})
EVENTS.labels("default").set({times})
"""
_ALL = "from service.telemetry.exposition import render; print(render('')[0].decode())"


def test_processes_that_share_a_folder_are_counted_together(tmp_path: Path) -> None:
    """Counters add up, also over restarts; of gauges the latest holds; no file is left per restart."""

    def run(code: str, name: str) -> str:
        environ = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PROMETHEUS_PROCESS_NAME": name}
        done = subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True)
        return done.stdout

    for name, times in (("api-1", 1), ("worker-1", 2), ("api-1", 4)):
        run(_ONE.format(times=times), name)
    shown = run(_ALL, "api-2")
    assert "bindery_queue_losses_total 7.0" in shown
    assert 'bindery_events{service_name="default"} 4.0' in shown
    assert len(list(tmp_path.glob("counter_*.db"))) == 3
