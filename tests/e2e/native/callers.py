"""An app and a server, as they call the native routes."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
from litestar import Litestar

from service.usecases.service import Directory, Service
from tests.e2e.compatible.deployment import ACCOUNT, TOKEN, Api, drain

SECRET = "a secret for tokens of 32 bytes or more"
APN = "0a" * 32
FCM = "fcm:Token_" + "x" * 130
FID = "dQw4w9WgXcQ_-abcdefghi"


def app_token(identity: str, *, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """An app's token; claims override, None leaves one out."""
    now = int(time.time())
    merged = {"sub": identity, "iat": now, "exp": now + 3600, **claims}
    return jwt.encode({k: v for k, v in merged.items() if v is not None}, secret, algorithm=algorithm)


class Native:
    """Calls the native routes of an application in this process."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.client = api.client

    @property
    def app(self) -> Litestar:
        return self.api.app

    @property
    def directory(self) -> Directory:
        return self.api.directory

    @property
    def service(self) -> Service:
        return self.api.service

    async def call(self, method: str, path: str, *, token: str | None = None, **more: Any) -> httpx.Response:
        """A request by an app with this token, or by the server."""
        if token is None:
            return await self.client.request(method, path, **more)
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, auth=NO_AUTH, **more)

    async def register(self, *, token: str | None = None, headers: Any = None, **fields: Any) -> httpx.Response:
        """Register; what is not given is a valid APNs registration (of alice's, by a server)."""
        body = {"binding_type": "apn", "address": APN, "device_id": "phone", **fields}
        if token is None:
            body.setdefault("identity", "alice")
        body = {k: v for k, v in body.items() if v is not None}
        return await self.call("POST", "/v1/registrations", token=token, json=body, headers=headers or {})

    async def bindings(self, identity: str, **params: Any) -> list[dict[str, Any]]:
        """What a lookup shows of an identity."""
        answer = await self.call("GET", f"/v1/identities/{identity}/bindings", params=params)
        assert answer.status_code == 200, answer.text
        bindings: list[dict[str, Any]] = answer.json()["bindings"]
        return bindings

    async def drain(self) -> None:
        await drain(self.service)


def _no_auth(request: httpx.Request) -> httpx.Request:
    return request


NO_AUTH = _no_auth
SERVER = (ACCOUNT, TOKEN)


def problem_of(answer: httpx.Response) -> str:
    """The kind of problem that an answer states, having checked its form (RFC 9457)."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["title"]
    kind: str = problem["type"].removeprefix("urn:bindery:problem:")
    return kind
