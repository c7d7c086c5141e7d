"""A real Prometheus that scrapes real processes; Debian's package `prometheus` has it, and `promtool`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.servers.valkey import free_port, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"


def tool(name: str) -> str:
    """The path of an installed program; skips the test without it, but not in CI, which installs it."""
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("CI"), f"{name} is not installed"
        pytest.skip(f"{name} is not installed (Debian: apt-get install prometheus)")
    return found


class Prometheus:
    """A running server."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an expression now, without those that are no number. Raises AssertionError if it is wrong."""
        answer = self._client.post("/query", data={"query": expression}).json()
        assert answer["status"] == "success", f"{answer} to {expression}"
        found = answer["data"]["result"]
        return [sample for sample in found if sample["value"][1] != "NaN"]

    def names(self) -> set[str]:
        """Every name that there are samples of."""
        return set(self._client.get("/label/__name__/values").json()["data"])

    def up(self, count: int) -> bool:
        """Whether so many targets have been scraped."""
        with suppress(httpx.TransportError):
            return self._client.get("/status/buildinfo").is_success and len(self.query("up == 1")) == count
        return False

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


@contextmanager
def scraping(directory: Path, targets: Mapping[str, int], rules: Mapping[str, str]) -> Iterator[Prometheus]:
    """Prometheus, scraping every second these ports of this machine, with rule files of these names and contents."""
    binary = tool("prometheus")
    for name, text in rules.items():
        (directory / name).write_text(text)
    static = [{"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}} for name, port in targets.items()]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": sorted(rules),
        "scrape_configs": [{"job_name": "bindery", "static_configs": static}],
    }
    # JSON is YAML.
    (directory / "prometheus.yaml").write_bytes(msgspec.json.encode(config))
    port = free_port()
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={directory / 'prometheus.yaml'}",
                f"--storage.tsdb.path={directory / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        server = Prometheus(port)
        try:
            wait_until(lambda: server.up(len(targets)), "every target is scraped")
            yield server
        finally:
            server.close()
            process.terminate()
            process.wait(15)
