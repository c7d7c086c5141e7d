"""The settings that every benchmark runs with, and the requests of its apps and servers as bytes on the wire."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import urlencode

import jwt
import msgspec

from tests.benchmarks.devices import Device

SERVICE = "IS" + "1" * 32
ACCOUNT = "AC" + "0" * 32
KEY, KEY_SECRET = "SK" + "2" * 32, "the secret of a key"
JWT_SECRET = "a secret for tokens of 32 bytes or more"

_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_encode = msgspec.json.Encoder().encode


def environment(redis_url: str) -> dict[str, str]:
    """The settings of a deployment on this store."""
    return {
        "BINDERY_REDIS_URL": redis_url,
        "BINDERY_SECRET_KEY": "k" * 32,
        "BINDERY_ACCOUNT_SID": ACCOUNT,
        "BINDERY_AUTH_TOKEN": "t" * 32,
        "BINDERY_API_KEYS": f"{KEY}:{KEY_SECRET}",
        "BINDERY_SERVICE_SID": SERVICE,
        "BINDERY_JWT_SECRET": JWT_SECRET,
        "BINDERY_LOG_FORMAT": "json",
    }


SERVER = "Basic " + b64encode(f"{KEY}:{KEY_SECRET}".encode()).decode()
"""A server's Authorization, by API key."""


def bearer(identity: str, *, jti: str = "") -> str:
    """An app's Authorization: a token of one hour, as an issuer makes it at login; ``jti`` makes it one of its own."""
    now = int(time.time())
    claims = {"sub": identity, "sid": "0" * 32, "iat": now, "exp": now + 3600, "jti": jti}
    return "Bearer " + jwt.encode(claims, JWT_SECRET, algorithm="HS256")


def http(method: str, path: str, authorization: str, body: bytes = b"", media_type: str = _JSON) -> bytes:
    """A whole HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: {authorization}"]
    if body:
        lines += [f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def registration(device: Device, authorization: str | None = None) -> bytes:
    """An app registers its device; with a fresh token of its identity, if none is given."""
    body = _encode({"binding_type": device.kind.value, "address": device.address, "device_id": device.device_id})
    return http("POST", "/v1/registrations", authorization or bearer(device.identity), body)


def logout(device: Device) -> bytes:
    """A server logs a device out."""
    return http("POST", "/v1/logouts", SERVER, _encode({"identity": device.identity, "device_id": device.device_id}))


def lookup(identity: str) -> bytes:
    """A server looks one identity up."""
    return http("GET", f"/v1/identities/{identity}/bindings", SERVER)


def lookups(identities: Sequence[str]) -> bytes:
    """A server looks many identities up."""
    return http("POST", "/v1/lookups", SERVER, _encode({"identities": identities}))


_BINDINGS = f"/v1/Services/{SERVICE}/Bindings"


def notify_create(device: Device) -> bytes:
    """A server creates a Notify binding."""
    form = {"Identity": device.identity, "BindingType": device.kind.value, "Address": device.address}
    return http("POST", _BINDINGS, SERVER, urlencode(form).encode(), _FORM)


def notify_fetch(sid: str) -> bytes:
    """A server fetches a Notify binding."""
    return http("GET", f"{_BINDINGS}/{sid}", SERVER)


def notify_list(identity: str) -> bytes:
    """A server lists the Notify bindings of an identity."""
    return http("GET", f"{_BINDINGS}?Identity={identity}", SERVER)
