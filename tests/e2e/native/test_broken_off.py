"""Bodies that do not come to their end: the client leaves, or holds them back. Native and compatible routes alike."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
import structlog

from tests.e2e.compatible.deployment import ACCOUNT, SERVICE, TOKEN
from tests.e2e.native.callers import Native

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
ROUTES = [("/v1/registrations", JSON), ("/v1/logouts", JSON), (f"/v1/Services/{SERVICE}/Bindings", FORM)]

Answer = tuple[int, dict[bytes, bytes], dict[str, Any]]


async def send(native: Native, path: str, content_type: bytes, then: Callable[[], Any]) -> Answer:
    """A request that announces 50 bytes, sends three, and then does something else."""
    messages: list[Any] = [{"type": "http.request", "body": b"{Id", "more_body": True}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else await then()

    async def take(message: Any) -> None:
        sent.append(message)

    credentials = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode())
    headers = [
        (b"authorization", b"Basic " + credentials),
        (b"content-type", content_type),
        (b"content-length", b"50"),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await native.app(cast(Any, scope), receive, take)
    start, body = sent
    return start["status"], dict(start["headers"]), msgspec.json.decode(body["body"])


@pytest.mark.parametrize(("path", "content_type"), ROUTES)
async def test_a_client_that_leaves_is_no_fault_of_ours(native: Native, path: str, content_type: bytes) -> None:
    """Its unfinished request is a 4xx that nobody reads, and no error in the log."""

    async def leave() -> dict[str, str]:
        return {"type": "http.disconnect"}

    with structlog.testing.capture_logs() as lines:
        status, _, error = await send(native, path, content_type, leave)
    assert (status, error["status"]) == (400, 400)
    assert [line["event"] for line in lines if line["log_level"] not in ("debug", "info")] == []


@pytest.mark.parametrize(("path", "content_type"), ROUTES)
async def test_a_body_that_is_held_back_is_not_waited_for(
    native: Native, path: str, content_type: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while the answer is 408, in the route's form, and the connection is closed."""
    monkeypatch.setattr("service.domain.limits.BODY_SECONDS", 0.05)
    status, headers, error = await send(native, path, content_type, asyncio.Event().wait)
    assert (status, error["status"]) == (408, 408)
    assert headers[b"connection"] == b"close"
    if content_type == JSON:
        assert error["type"] == "urn:bindery:problem:request-timeout"
    else:
        assert error["code"] == 20001
