"""Probes, the version, and the OpenAPI document with its page."""

import re

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
