"""Contract 8: no address or device id in any log, metric, key, job or event; a request and its job share a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.e2e.compatible.api_process import api_process
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, SERVICE, TOKEN
from tests.e2e.native.callers import app_token
from tests.integration.workers.worker_process import WorkerProcess
from tests.servers.valkey import ValkeyServer, free_port
from tests.waiting import eventually

ADDRESS = "5ec4e7" + "ab" * 29
PHONE = "+15005550006"
DEVICE = "capability-of-a-device"
NAMED = (ADDRESS, ADDRESS.upper(), "5ec4e7", PHONE, PHONE[1:], DEVICE, "my-secret-field", TOKEN)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def url(environ: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """A real API process that logs everything it would ever log, and shows its metrics."""
    environ |= {"BINDERY_LOG_LEVEL": "debug", "BINDERY_LOG_FORMAT": "json", "BINDERY_METRICS_PORT": str(free_port())}
    with api_process(environ, tmp_path) as url:
        yield url


def exercise(url: str) -> None:
    """Requests of every kind, good and bad, that hold something to keep."""
    with httpx.Client(base_url=url, auth=(ACCOUNT, TOKEN), timeout=10) as server:
        body = {"identity": "alice", "device_id": DEVICE, "binding_type": "apn", "address": ADDRESS}
        traced = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "X-Request-ID": "request-7"}
        answer = server.post("/v1/registrations", json={**body, "channels": ["notify", "chat"]}, headers=traced)
        assert answer.headers["x-request-id"] == "request-7"
        server.post("/v1/registrations", json={**body, "binding_type": "sms", "address": PHONE, "device_id": None})
        server.post("/v1/registrations", json={**body, "address": ADDRESS + "x"})
        server.post("/v1/registrations", json={**body, "my-secret-field": ADDRESS})
        server.post("/v1/registrations", content=f'{{"address": "{ADDRESS}"'.encode())
        server.get("/v1/identities/alice/bindings")
        server.get(f"/v1/registrations/{ADDRESS}")
        server.get(f"/nowhere/{ADDRESS}?address={ADDRESS}")
        form = {"Identity": "bob", "BindingType": "apn", "Address": ADDRESS}
        sid = server.post(f"/v1/Services/{SERVICE}/Bindings", data=form).json()["sid"]
        server.post(f"/v1/Services/{SERVICE}/Bindings", data={**form, "BindingType": ADDRESS})
        server.get(f"/v1/Services/{SERVICE}/Bindings", params={"Tag": DEVICE, "PageToken": ADDRESS})
        server.get(f"/v2/Services/{CHAT}/Bindings")
        server.delete(f"/v1/Services/{SERVICE}/Bindings/{sid}")
        server.post("/v1/logouts", json={"identity": "alice", "address": ADDRESS})
        server.post("/v1/logouts", json={"identity": "alice", "device_id": DEVICE})
        app = {"Authorization": f"Bearer {app_token('alice')}"}
        httpx.request("DELETE", f"{url}/v1/registrations", params={"device_id": DEVICE}, headers=app)
        httpx.request("DELETE", f"{url}/v1/registrations", params={"device": DEVICE}, headers=app)
        httpx.get(f"{url}/v1/identities/alice/bindings", headers={"Authorization": f"Basic {ADDRESS}"})


def metrics(environ: dict[str, str]) -> str:
    """What the process with these settings shows; nothing before it listens."""
    try:
        return httpx.get(f"http://127.0.0.1:{environ['BINDERY_METRICS_PORT']}/metrics").raise_for_status().text
    except httpx.ConnectError:
        return ""


def keys(valkey: ValkeyServer) -> list[bytes]:
    """Every key of the server."""
    return cast(list[bytes], valkey.call("KEYS", "*"))


def stored(valkey: ValkeyServer) -> str:
    """Every key, every job and every event, as text."""
    texts: list[Any] = []
    for key in keys(valkey):
        texts.append(key)
        if valkey.call("TYPE", key) == b"stream":
            texts.append(valkey.call("XRANGE", key, "-", "+"))
        elif key.startswith(b"arq:"):
            texts.append(valkey.call("GET", key))
    return repr(texts)


async def test_nothing_secret_leaves_its_record(
    url: str, environ: dict[str, str], valkey: ValkeyServer, tmp_path: Path
) -> None:
    """After every kind of request, good and bad, with workers and without: not in a log, a key, a job or an event."""
    exercise(url)
    before = stored(valkey)
    assert "arq:job:" in before
    beside = {**environ, "BINDERY_METRICS_PORT": str(free_port())}
    with WorkerProcess(beside, tmp_path / "worker.log") as worker:

        async def applied() -> bool:
            return "lane" in worker.output and b"bindery:jobs" not in keys(valkey)

        await eventually(applied)
        texts = {
            "API's log": (tmp_path / "api.log").read_text(),
            "API's metrics": metrics(environ),
            "worker's log": worker.output,
            "worker's metrics": metrics(beside),
            "store": before + stored(valkey),
        }
    # Both show what the requests have left, so that there was something to search.
    assert 'route="/v1/registrations",status="202"' in texts["API's metrics"]
    assert 'bindery_job_duration_seconds_count{ledger="notify",outcome="' in texts["worker's metrics"]
    for place, text in texts.items():
        for secret in NAMED:
            assert secret not in text, f"{secret} stands in the {place}"


async def test_a_request_and_its_job_share_a_trace(url: str, environ: dict[str, str], tmp_path: Path) -> None:
    """The access line and the job's line bear the caller's trace id; there is one access line a request."""
    exercise(url)
    lines = [json.loads(line) for line in (tmp_path / "api.log").read_text().splitlines()]
    access = [line for line in lines if line["event"] == "request"]
    [line] = [line for line in access if line["trace_id"] == TRACE]
    assert (line["request_id"], line["route"], line["status"]) == ("request-7", "/v1/registrations", 202)
    with WorkerProcess({**environ, "BINDERY_METRICS_PORT": "0"}, tmp_path / "worker.log") as worker:

        async def traced() -> bool:
            return TRACE in worker.output

        await eventually(traced)
