"""The dashboard and the rules against a real Bindery under load, scraped by a real Prometheus."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvloop

from service.telemetry import catalogue
from tests.e2e.compatible.api_process import api_process
from tests.faults.client import Connection
from tests.faults.fleet import Fleet, running
from tests.faults.running import ACCOUNT, FORM, JSON, SERVICE, SETTINGS, TOKEN, app_headers
from tests.monitoring.prometheus import DEPLOY, Prometheus, scraping, tool
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.slow

DASHBOARD = msgspec.json.decode((DEPLOY / "grafana" / "dashboards" / "bindery.json").read_bytes())
RULES = {path.name: path.read_text() for path in sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))}
SECONDS = 12.0
GUESTS = 50
"""Identities whose bindings were made at the upstream, past us."""

VARIABLES = {"$__rate_interval": "10s", "$namespace": ".*", "$service_name": ".*"}


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of the dashboard, with its panel's title."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def shown() -> set[str]:
    """Every name that the metrics of the catalogue are shown under."""
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
    families = [family for family in catalogue.registry.collect() if family.name.startswith("bindery_")]
    return {family.name + suffix for family in families for suffix in suffixes[family.type]}


def used(text: str) -> set[str]:
    """The names of ours in an expression, but not those of recorded series, which have a colon before them."""
    return set(re.findall(r"(?<![:\w])bindery_\w+", text))


def test_all_names_are_of_metrics_that_there_are() -> None:
    """In the dashboard and in the rules; and every metric is in one or the other."""
    text = "\n".join([*(expression for _, expression in expressions()), *RULES.values()])
    names = used(text)
    assert names - shown() == set()
    unused = {m for m in shown() if not m.endswith(("_bucket", "_sum")) and not used_somehow(m, names)}
    assert unused == set()


def used_somehow(name: str, names: set[str]) -> bool:
    """Whether a metric is used by any of its series."""
    stem = name.removesuffix("_count")
    return bool({name, f"{stem}_bucket", f"{stem}_sum"} & names)


async def use(connection: Connection, number: int) -> None:
    """What apps and servers do: register, start again, look up, log out, and ask for what there is not."""
    headers = app_headers(f"user-{number}", f"session-{number}", int(time.time()))
    wanted = {"binding_type": "fcm", "address": f"token:{number}", "device_id": f"device-{number}"}
    body = msgspec.json.encode({**wanted, "channels": ["notify", "chat"]})
    assert (await connection.request("POST", "/v1/registrations", headers, body)).status == 202
    await connection.request("POST", "/v1/registrations", headers, body)
    other = app_headers(f"other-{number}", f"session-{number}", int(time.time()))
    await connection.request("POST", "/v1/registrations", other, body)
    assert (await connection.request("GET", f"/v1/identities/user-{number}/bindings", JSON)).status == 200
    assert (await connection.request("GET", f"/v1/identities/guest-{number % GUESTS}/bindings", JSON)).status == 200
    form = f"Identity=user-{number}&BindingType=sms&Address=%2B1500555{number:04}".encode()
    assert (await connection.request("POST", f"/v1/Services/{SERVICE}/Bindings", FORM, form)).status == 201
    logout = msgspec.json.encode({"identity": f"other-{number}", "device_id": f"device-{number}"})
    assert (await connection.request("POST", "/v1/logouts", JSON, logout)).status == 200
    assert (await connection.request("GET", "/nowhere", JSON)).status == 404


async def load(fleet: Fleet, seconds: float) -> None:
    """A few users at a time."""
    end, numbers = time.monotonic() + seconds, iter(range(10_000))

    async def some() -> None:
        connection = fleet.connection()
        while time.monotonic() < end:
            await use(connection, next(numbers))
            await asyncio.sleep(0.05)
        await connection.aclose()

    await asyncio.gather(*(some() for _ in range(4)))


@contextmanager
def upstream(directory: Path) -> Iterator[dict[str, str]]:
    """A second Bindery, with guests; answers the settings with which the first keeps its Notify bindings there."""
    with ValkeyServer() as store, api_process({**SETTINGS, "BINDERY_REDIS_URL": store.url}, directory) as url:
        for guest in range(GUESTS):
            form = {"Identity": f"guest-{guest}", "BindingType": "fcm", "Address": f"token-of-guest:{guest}"}
            made = httpx.post(f"{url}/v1/Services/{SERVICE}/Bindings", data=form, auth=(ACCOUNT, TOKEN))
            made.raise_for_status()
        yield {
            "BINDERY_NOTIFY_UPSTREAM_URL": url,
            "BINDERY_UPSTREAM_USER": ACCOUNT,
            "BINDERY_UPSTREAM_SECRET": TOKEN,
            "BINDERY_UPSTREAM_RATE": "1000",
        }


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen a Bindery under load, and still sees it."""
    tool("prometheus")
    directory = tmp_path_factory.mktemp("monitoring")
    rules = {name: text.replace("interval: 30s", "interval: 1s") for name, text in RULES.items()}

    @asynccontextmanager
    async def live() -> AsyncIterator[Prometheus]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        with ValkeyServer("--maxmemory", "256mb", appendfsync="always") as valkey, upstream(directory) as settings:
            environ = {**own, **SETTINGS, **settings, "BINDERY_REDIS_URL": valkey.url}
            async with running(directory, environ) as fleet:
                await fleet.add_worker()
                with scraping(directory, fleet.probes(), rules) as prometheus:
                    await load(fleet, SECONDS)
                    yield prometheus

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        yield runner.run(stack.enter_async_context(live()))
        runner.run(stack.aclose())


def test_every_panel_has_data(observed: Prometheus) -> None:
    """Each of its expressions answers, and with numbers."""
    assert [(title, expression) for title, expression in expressions() if not observed.query(expression)] == []


def test_every_recorded_series_has_data(observed: Prometheus) -> None:
    """The alerts are reckoned from these."""
    recorded = re.findall(r"record: (\S+)", RULES["recording.yml"])
    assert len(recorded) > 30
    assert set(recorded) - observed.names() == set()


def test_no_alert_is_pending_while_all_is_well(observed: Prometheus) -> None:
    """Rules that cannot be evaluated would be silent too: each has been."""
    assert observed.query("ALERTS") == []
    answer: Any = observed._client.get("/rules").json()["data"]["groups"]
    rules = [rule for group in answer for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}


def test_two_workers_tell_the_same_of_the_ledger(observed: Prometheus) -> None:
    """What both see is not counted twice, what each has done is."""
    assert len(observed.query('bindery_ledger_depth{ledger="notify"}')) == 2
    [depth] = observed.query("max by (service_name) (bindery_events)")
    assert len(observed.query('bindery_build_info{part="worker"}')) == 2
    assert float(depth["value"][1]) > 0


def test_labels_are_bounded(observed: Prometheus) -> None:
    """Hundreds of users leave no more series than a few would."""
    [count] = observed.query('count({__name__=~"bindery_.*",instance="api-2"})')
    assert float(count["value"][1]) < 600
