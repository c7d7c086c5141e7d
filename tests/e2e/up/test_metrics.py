"""Metrics under `bindery up`: one endpoint that shows all processes together."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.up.conftest import PATIENCE, Up
from tests.servers.valkey import wait_until


@pytest.fixture
def counted(data_dir: Path) -> Iterator[Up]:
    """A `bindery up` with two API processes and metrics."""
    with Up(data_dir, BINDERY_METRICS_PORT="0", BINDERY_API_PROCESSES="2") as running:
        yield running


def value(url: str, sample: str) -> float:
    """The value of a sample."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", httpx.get(url, timeout=PATIENCE).text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def memory(url: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each process's memory."""
    families = text_string_to_metric_families(httpx.get(url, timeout=PATIENCE).text)
    [family] = [family for family in families if family.name == "process_resident_memory_bytes"]
    return [(sample.labels, sample.value) for sample in family.samples]


PARTS = {"api-1": "api", "api-2": "api", "worker-1": "worker"}
ANSWERED = 'bindery_request_duration_seconds_count{method="GET",route="/version",status="200"}'


@pytest.mark.slow
def test_processes_are_counted_together(counted: Up) -> None:
    """Whichever of them answers, for each other and for the worker; also across a restart of one of them."""
    url = counted.url()
    metrics = counted.line(r"Metrics: (\S+)")[1]
    for _ in range(40):
        # A connection each, so that both get some.
        httpx.get(f"{url}/version", timeout=PATIENCE)
    assert [value(metrics, ANSWERED) for _ in range(10)] == [40.0] * 10
    swept = 'bindery_swept_timestamp_seconds{service_name="default"}'
    wait_until(lambda: value(metrics, swept) > 0, "the worker has swept")
    assert {labels["process"]: labels["part"] for labels, _ in memory(metrics)} == PARTS
    os.kill(counted.children()["api"], signal.SIGKILL)
    counted.line(r"starting it again")
    assert httpx.get(f"{url}/version", timeout=PATIENCE).status_code == 200
    wait_until(lambda: value(metrics, ANSWERED) == 41.0, "all are counted")
    wait_until(lambda: len(memory(metrics)) == len(PARTS), "each process is shown once again")
    assert all(bytes_held > 10e6 for _, bytes_held in memory(metrics))
    assert httpx.get(metrics.replace("/metrics", "/livez"), timeout=PATIENCE).status_code == 404


def test_the_files_have_no_holes(counted: Up, data_dir: Path) -> None:
    """What is mapped into memory must be on the disk: else a disk that is full ends whoever counts."""
    url = counted.url()
    assert httpx.get(f"{url}/version", timeout=PATIENCE).status_code == 200
    found = {path.name: path.stat() for path in (data_dir / "metrics").glob("*.db")}
    assert {name.rpartition("_")[2] for name in found} == {f"{process}.db" for process in PARTS}
    assert [name for name, file in found.items() if file.st_blocks * 512 < file.st_size] == []


def test_a_folder_that_cannot_be_made_is_one_clear_line(data_dir: Path) -> None:
    """As with anything else in the data directory."""
    data_dir.mkdir()
    (data_dir / "metrics").touch()
    with Up(data_dir, BINDERY_METRICS_PORT="0") as up:
        assert up.process.wait(PATIENCE) == 1
        up.line(rf"^Error: the data directory {data_dir} cannot be used: .*metrics")


def test_a_busy_metrics_port_is_one_clear_line(tmp_path: Path) -> None:
    """As that of the API is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Up(tmp_path / "data", BINDERY_METRICS_PORT=str(port)) as second:
            assert second.process.wait(PATIENCE) == 1
            second.line(rf"^Error: cannot listen on 127\.0\.0\.1 port {port}: .*BINDERY_METRICS_PORT sets another$")
