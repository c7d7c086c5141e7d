"""URLs in answers lead back to the server that answered, and never where a stranger would have them lead."""

from __future__ import annotations

import pytest

from tests.e2e.compatible.deployment import CHAT, SERVICE, Api, serving, settings_of

PATH = f"/v1/Services/{SERVICE}/Bindings"
FORWARDED = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "push.example.org:8443",
    "X-Forwarded-Prefix": "/bindery/",
}


async def base_of(api: Api, path: str = PATH, **headers: str) -> str:
    """What stands before the path in the URL of a list."""
    answer = await api.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    url: str = answer.json()["meta"]["url"]
    before, found, _ = url.partition(path)
    assert found, url
    return before


@pytest.mark.parametrize(
    "path", [PATH, f"/notify{PATH}", f"/v2/Services/{CHAT}/Bindings", f"/chat/v2/Services/{CHAT}/Bindings"]
)
async def test_urls_come_from_the_request(api: Api, path: str) -> None:
    """Without a public URL, the request's own host and prefix are used."""
    assert await base_of(api, path) == "http://bindery.test"
    assert await base_of(api, path, host="localhost:8080") == "http://localhost:8080"
    assert await base_of(api, path, host="[::1]:8080") == "http://[::1]:8080"


@pytest.mark.parametrize("path", [PATH, f"/notify{PATH}", f"/chat/v2/Services/{CHAT}/Bindings"])
async def test_a_public_url_outranks_the_request(environ: dict[str, str], path: str) -> None:
    """A configured public URL is used whatever the request says, its path included; the prefix asked under is kept."""
    settings = settings_of(
        environ, BINDERY_PUBLIC_URL="https://example.org/push/", BINDERY_TRUSTED_PROXIES="127.0.0.0/8"
    )
    async with serving(settings) as api:
        assert await base_of(api, path, host="evil.test", **FORWARDED) == "https://example.org/push"


async def test_a_strangers_forwarded_headers_are_ignored(environ: dict[str, str], api: Api) -> None:
    """Forwarded headers count only from configured proxies."""
    assert await base_of(api, **FORWARDED) == "http://bindery.test"
    async with serving(settings_of(environ, BINDERY_TRUSTED_PROXIES="10.0.0.0/8"), peer="192.0.2.1") as other:
        assert await base_of(other, **FORWARDED) == "http://bindery.test"


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"])
async def test_a_proxys_forwarded_headers_are_believed(environ: dict[str, str], peer: str) -> None:
    """What a configured proxy says of scheme, host and prefix is used, whichever address family it comes by."""
    settings = settings_of(environ, BINDERY_TRUSTED_PROXIES="10.0.0.0/8,fd00::/8")
    async with serving(settings, peer=peer) as api:
        base = "https://push.example.org:8443/bindery"
        assert await base_of(api, **FORWARDED) == base
        assert await base_of(api, f"/notify{PATH}", **FORWARDED) == base
        assert await base_of(api, **{"X-Forwarded-Proto": "https"}) == "https://bindery.test"
        assert await base_of(api, **{"X-Forwarded-Proto": "gopher, https"}) == "https://bindery.test"
        lines = [("X-Forwarded-Host", "evil.test"), ("X-Forwarded-Host", "push.example.org")]
        answer = await api.client.get(PATH, headers=lines)
        assert answer.json()["meta"]["url"].startswith("http://push.example.org/")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Host": "evil.test/path"},
        {"X-Forwarded-Host": "user@evil.test"},
        {"X-Forwarded-Host": 'evil.test"'},
        {"X-Forwarded-Prefix": "//evil.test"},
        {"X-Forwarded-Prefix": "/a?b"},
        {"X-Forwarded-Prefix": "https://evil.test"},
    ],
)
async def test_nonsense_is_ignored(environ: dict[str, str], headers: dict[str, str]) -> None:
    """Even from a proxy, what is no scheme, host or prefix is ignored."""
    async with serving(settings_of(environ, BINDERY_TRUSTED_PROXIES="10.0.0.0/8"), peer="10.0.0.1") as api:
        assert await base_of(api, **headers) == "http://bindery.test"


@pytest.mark.parametrize("host", ["evil.test/path", 'a"b', "user@evil.test", "a b", "[", "x" * 300, "é"])
async def test_a_nonsense_host_leads_nowhere(api: Api, host: str) -> None:
    """A Host header that is none is refused or left out; it never gets into a URL."""
    answer = await api.client.get(PATH, headers=[(b"host", host.encode())])
    assert answer.status_code in {200, 400}
    assert "evil" not in answer.text
    if answer.status_code == 200:
        assert answer.json()["meta"]["url"].startswith("http://")
