"""Probes, the version, and the OpenAPI document with its page."""

import asyncio
import re
import time
from typing import Any

import pytest

from service import __version__
from tests.e2e.compatible.deployment import serving, settings_of
from tests.e2e.native.callers import NO_AUTH, Native, problem_of
from tests.servers.valkey import ValkeyServer


async def test_probes(native: Native) -> None:
    """A served store is ready, and nobody needs credentials to ask."""
    assert (await native.client.get("/livez", auth=NO_AUTH)).status_code == 200
    ready = await native.client.get("/readyz", auth=NO_AUTH)
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "checks": {"store": "ok", "queue": "ok"}})
    assert (await native.client.get("/version")).json() == {"version": __version__}


async def test_a_store_that_is_away(environ: dict[str, str]) -> None:
    """Without its store the process lives, says what is not ready, answers 503 in time, and recovers by itself."""
    with ValkeyServer() as own:
        settings = settings_of(environ, BINDERY_REDIS_URL=own.url, BINDERY_REDIS_TIMEOUT="0.5")
        own.kill()
        async with serving(settings) as api:
            native = Native(api)
            assert (await native.client.get("/livez")).status_code == 200
            ready = await native.client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["checks"]["queue"] == "unreachable"
            answer = await native.register()
            assert (answer.status_code, problem_of(answer)) == (503, "store-unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            compatible = await native.client.get(f"/v1/Services/{native.service.sid}/Bindings")
            assert (compatible.status_code, compatible.json()["code"]) == (503, 20503)
            own.start()
            while (await native.client.get("/readyz")).status_code != 200:
                pass
            assert (await native.register()).status_code == 202


async def test_a_queue_that_is_away(environ: dict[str, str]) -> None:
    """It is told of; but requests are answered, so that no load balancer should send them elsewhere."""
    with ValkeyServer() as queue:
        queue.kill()
        async with serving(settings_of(environ, BINDERY_QUEUE_URL=queue.url, BINDERY_REDIS_TIMEOUT="0.5")) as api:
            native = Native(api)
            ready = await native.client.get("/readyz")
            checks = {"store": "ok", "queue": "unreachable"}
            assert (ready.status_code, ready.json()) == (200, {"ready": True, "checks": checks})
            assert (await native.register()).status_code == 202


async def test_a_queue_that_says_nothing(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks whether an API is ready, and waits for a second, need not wait for what it can do without."""
    monkeypatch.setattr("service.readiness._SECONDS", 60)
    with ValkeyServer() as queue:
        settings = settings_of(environ, BINDERY_QUEUE_URL=queue.url, BINDERY_REDIS_TIMEOUT="30")
        async with serving(settings) as api:
            queue.pause()
            try:
                async with asyncio.timeout(15):
                    ready = await Native(api).client.get("/readyz")
            finally:
                queue.resume()
            assert (ready.status_code, ready.json()["checks"]["queue"]) == (200, "unreachable")


async def test_the_document_and_its_page(native: Native) -> None:
    """OpenAPI 3.1 at /schema, with the bodies that the routes read, on a page that loads nothing from elsewhere."""
    document = (await native.client.get("/schema/openapi.json", auth=NO_AUTH)).json()
    assert document["openapi"].startswith("3.1")
    body = document["paths"]["/v1/registrations"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"address", "binding_type"} <= set(body["required"])
    assert "apn" in body["properties"]["binding_type"]["enum"]
    page = (await native.client.get("/schema", auth=NO_AUTH)).text
    links = re.findall(r"(?:src|href)=[\"']([^\"']+)", page)
    assert links
    for link in links:
        assert link.startswith("/schema/assets/")
        assert (await native.client.get(link, auth=NO_AUTH)).status_code == 200


@pytest.mark.parametrize(
    "path", ["assets/nothing.js", "assets/a%00", f"assets/{'a' * 300}", "assets/", "assets/../x", "nothing", "redoc"]
)
async def test_what_the_page_has_not(native: Native, path: str) -> None:
    """Whatever a scanner asks for is a 404 in the form of native routes, and no fault of ours in the log."""
    answer = await native.client.get(f"/schema/{path}", auth=NO_AUTH)
    assert (answer.status_code, problem_of(answer)) == (404, "not-found")


async def test_the_page_is_where_clients_see_it(environ: dict[str, str]) -> None:
    """Behind a proxy that adds a path, the page finds its scripts there, and sends what is tried out there."""
    async with serving(settings_of(environ, BINDERY_PUBLIC_URL="https://example.org/push/")) as api:
        page = (await api.client.get("/schema")).text
        links = re.findall(r"(?:src|href)=[\"']([^\"']+)", page)
        assert links
        assert all(link.startswith("/push/schema/assets/") for link in links)
        document = (await api.client.get("/schema/openapi.json")).json()
        assert document["servers"] == [{"url": "/push"}]


async def test_readiness_of_a_store_that_hangs(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Said in time, however long a call may take, with Retry-After; all checks are made at once."""
    # One check's time is far from the limit here: a machine that is busy is no failure.
    monkeypatch.setattr("service.readiness._SECONDS", 0.3)
    with ValkeyServer() as own, ValkeyServer() as queue:
        more = {"BINDERY_REDIS_URL": own.url, "BINDERY_QUEUE_URL": queue.url, "BINDERY_REDIS_TIMEOUT": "5"}
        async with serving(settings_of(environ, **more)) as api:
            assert (await api.client.get("/readyz")).status_code == 200
            for server in (own, queue):
                server.pause()
            began = time.monotonic()
            answer = await api.client.get("/readyz")
            assert time.monotonic() - began < 2
            for server in (own, queue):
                server.resume()
            assert (answer.status_code, set(answer.json()["checks"].values())) == (503, {"unreachable"})
            assert int(answer.headers["retry-after"]) >= 1


async def test_the_document_names_parameters_and_problems(native: Native) -> None:
    """What handlers read and refuse by themselves is documented all the same."""
    paths = (await native.client.get("/schema/openapi.json")).json()["paths"]
    assert not [path for path in paths if "rest" in path]
    operations = {
        (method, path): operation
        for path, item in paths.items()
        for method, operation in item.items()
        if path.startswith("/v1/")
    }
    assert len(operations) == 7
    own = {
        ("delete", "/v1/registrations"): {"device_id"},
        ("delete", "/v1/registrations/{registration_id}"): {"unless_seen_since"},
    }
    for (method, path), operation in operations.items():
        statuses = set(operation["responses"])
        assert {"400", "401", "403", "429", "503"} <= statuses
        if method == "post":
            assert {"408", "413", "415"} <= statuses
        for status in statuses:
            if status >= "400":
                schema = operation["responses"][status]["content"]["application/problem+json"]["schema"]
                assert {"type", "title", "status", "detail"} <= set(schema["properties"])
        names = [parameter["name"] for parameter in operation["parameters"]]
        assert len(names) == len(set(names))  # "MUST NOT include duplicated parameters" (OpenAPI 3.1, Operation Object)
        assert set(names) == {"service"} | set(re.findall(r"{(\w+)}", path)) | own.get((method, path), set())
    assert "409" in operations["post", "/v1/registrations"]["responses"]


async def test_the_document_asks_nobody_for_credentials_that_nobody_needs(native: Native) -> None:
    """The probes and the version are for anyone, and everything else is not (OpenAPI 3.1, Security Requirement)."""
    document = (await native.client.get("/schema/openapi.json")).json()
    for path, item in document["paths"].items():
        for operation in item.values():
            needed = operation.get("security", document["security"])
            assert (needed == [{}]) == (not path.startswith("/v1/")), path


async def test_the_document_is_the_same_wherever_it_is_made(native: Native) -> None:
    """It holds nothing made up at random: several processes answer for one API."""
    assert '"examples"' not in (await native.client.get("/schema/openapi.json")).text


async def test_a_state_tells_which_of_two_answers_it_is(native: Native) -> None:
    """Of what `oneOf` names exactly one is right (JSON Schema, 10.2.1.3): they have no state in common."""
    document = (await native.client.get("/schema/openapi.json")).json()
    schemas = document["components"]["schemas"]

    def resolved(schema: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        return found

    answered = document["paths"]["/v1/registrations"]["post"]["responses"]["202"]["content"]["application/json"]
    current, past = (resolved(schema) for schema in answered["schema"]["oneOf"])
    states = [resolved(schema["properties"]["state"])["enum"] for schema in (current, past)]
    assert [sorted(names) for names in states] == [["applied", "failed", "pending"], ["removed", "superseded"]]
    assert (await native.register()).json()["state"] in states[0]
