"""Who may call: tokens of apps, credentials of servers."""

import base64
import time
from pathlib import Path

import httpx
import jwt
import pytest
from litestar.routes import HTTPRoute

from service.api.errors import is_native
from tests.e2e.compatible.deployment import ACCOUNT, SERVICE, TOKEN, serving, settings_of
from tests.e2e.native.callers import NO_AUTH, SECRET, Native, app_token, problem_of

PUBLIC = ("/livez", "/readyz", "/version", "/schema")
NOW = int(time.time())


def unsigned() -> str:
    return jwt.encode({"sub": "alice", "iat": NOW, "exp": NOW + 60}, None, algorithm="none")


@pytest.mark.parametrize(
    "token",
    [
        app_token("alice", secret="another secret for tokens, long enough"),
        app_token("alice", secret=SECRET * 2, algorithm="HS512"),
        unsigned(),
        app_token("alice", iat=NOW - 7200, exp=NOW - 61),
        app_token("alice", exp=None),
        app_token("alice", iat=None),
        app_token("alice", exp=NOW + 86_400 + 120),
        app_token("alice", iat=NOW + 3000),
        app_token("alice", nbf=NOW + 3000),
        app_token("alice", iat="yesterday"),
        app_token("alice", iat=-5),
        app_token("alice", exp=1e400),
        app_token("x" * 300),
        app_token("nul\0nul"),
        app_token("", sid="s"),
        app_token("alice", sid=""),
        app_token("alice", sid=7),
        app_token("alice", sid="nul\0nul"),
        app_token("alice", sid="half\ud800"),
        app_token("half\ud800"),
        app_token("alice", sid="x" * 257),
        app_token("alice", sub=7),
        app_token("US" + "0" * 32),
        "",
        "a.b.c",
        "x" * 5000,
    ],
)
async def test_a_token_that_does_not_hold(native: Native, token: str) -> None:
    """Expired, unsigned, foreign, too long-lived or misshapen tokens are 401 (an impossible identity 400)."""
    answer = await native.register(token=token)
    assert answer.status_code == (400 if "US" + "0" * 32 in str(_claims(token)) else 401)
    assert problem_of(answer) in ("unauthenticated", "invalid-input")
    assert await native.bindings("alice") == []


def _claims(token: str) -> object:
    try:
        return jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return {}


async def test_clocks_may_differ_by_a_minute(native: Native) -> None:
    """A token that expired half a minute ago, or was issued half a minute ahead, still holds."""
    now = int(time.time())
    assert (await native.register(token=app_token("alice", iat=now - 3600, exp=now - 30))).status_code == 202
    assert (await native.register(token=app_token("bob", iat=now + 30))).status_code == 202


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ???",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(f"{ACCOUNT}:wrong".encode()).decode(),
        "Basic " + base64.b64encode(f"AC{'9' * 32}:{TOKEN}".encode()).decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Digest x",
        "Bearer",
    ],
)
@pytest.mark.parametrize("path", ["/v1/identities/alice/bindings", f"/v1/Services/{SERVICE}/Bindings"])
async def test_a_server_that_does_not_hold(native: Native, header: str | None, path: str) -> None:
    """No or wrong credentials are 401 on native and compatible routes alike, each in its own form."""
    headers = {} if header is None else {"Authorization": header}
    answer = await native.client.get(path, headers=headers, auth=NO_AUTH)
    assert answer.status_code == 401
    assert "Basic" in answer.headers["www-authenticate"]
    if path.startswith("/v1/identities"):
        assert problem_of(answer) == "unauthenticated"
    else:
        assert answer.json()["code"] == 20003


async def test_no_native_route_answers_strangers(native: Native) -> None:
    """Every route and method but the probes, the version and the documentation is 401, whatever else is wrong."""
    asked = 0
    for route in native.app.routes:
        if not isinstance(route, HTTPRoute) or not is_native(route.path) or route.path.startswith(PUBLIC):
            continue
        path = route.path_format.replace("{identity}", "alice").replace("{rest}", "a%2Fb/bindings")
        for method in route.methods - {"OPTIONS"}:
            answer = await native.client.request(method, path, auth=NO_AUTH)
            assert (answer.status_code, problem_of(answer)) == (401, "unauthenticated"), (method, path)
            asked += 1
    assert asked >= 8


async def test_api_keys_serve_like_the_account(native: Native) -> None:
    """An API key is good on native and compatible routes."""
    key = httpx.BasicAuth("SK" + "1" * 32, "the secret of a key")
    for path in ("/v1/identities/alice/bindings", f"/v1/Services/{SERVICE}/Bindings"):
        assert (await native.client.get(path, auth=key)).status_code == 200


async def test_an_apps_token_is_nothing_to_compatible_routes(native: Native) -> None:
    """The compatible routes are for servers."""
    answer = await native.call("GET", f"/v1/Services/{SERVICE}/Bindings", token=app_token("alice"))
    assert answer.status_code == 401


async def test_rotating_secrets(environ: dict[str, str]) -> None:
    """While they rotate, the new and the old token, and the new and the old JWT secret, both hold."""
    new = {
        "BINDERY_AUTH_TOKEN": "a brand new auth token",
        "BINDERY_AUTH_TOKEN_OLD": TOKEN,
        "BINDERY_JWT_SECRET": "a brand new secret of at least 32 bytes",
        "BINDERY_JWT_SECRET_OLD": SECRET,
    }
    async with serving(settings_of(environ, **new)) as api:
        native = Native(api)
        for password in (new["BINDERY_AUTH_TOKEN"], TOKEN):
            answer = await native.client.get("/v1/identities/alice/bindings", auth=(ACCOUNT, password))
            assert answer.status_code == 200
        for secret in (new["BINDERY_JWT_SECRET"], SECRET):
            assert (await native.register(token=app_token("alice", secret=secret))).status_code == 202


async def test_issuer_and_audience(environ: dict[str, str], tmp_path: Path) -> None:
    """A Service that names an issuer and an audience takes no token made for another."""
    text = (
        f'[[service]]\nsid = "{SERVICE}"\nname = "main"\njwt_issuer = "https://id"\njwt_audience = "push"\n'
        'app_tags = ["ios", "lang-*", "[beta]", "v?"]\n'
    )
    path = tmp_path / "one.toml"
    path.write_text(text)
    async with serving(settings_of(environ, BINDERY_SERVICES_FILE=str(path))) as api:
        native = Native(api)
        good = app_token("alice", iss="https://id", aud=["push", "other"])
        assert (await native.register(token=good, tags=["ios", "lang-de"])).status_code == 202
        assert (await native.register(token=good, tags=["[beta]", "v1"])).status_code == 202
        for tag in ("vip", "b", "Ios", "v10"):
            assert (await native.register(token=good, tags=[tag])).status_code == 403
        assert (await native.register(tags=["vip"])).status_code == 202
        for token in (
            app_token("alice"),
            app_token("alice", iss="https://id"),
            app_token("alice", iss="https://other", aud="push"),
            app_token("alice", iss="https://id", aud="mail"),
        ):
            assert (await native.register(token=token)).status_code == 401
