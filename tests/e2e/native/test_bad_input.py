"""Bad input gets its exact 4xx, names the field and changes nothing; none is a 500 or a traceback."""

import json
from typing import Any

import httpx
import pytest

from tests.e2e.native.callers import APN, Native, app_token, problem_of

JSON = {"Content-Type": "application/json"}


async def post(native: Native, content: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return await native.call("POST", "/v1/registrations", content=content, headers=headers or JSON)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"binding_type": "apn", "address":',
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe{}",
        b'{"address": "\xff"}',
        b'{"address": "\\ud800"}',
        b"[" * 30_000 + b"]" * 30_000,
        b'{"binding_type": "apn", "address": NaN}',
    ],
)
async def test_what_is_not_the_json_it_should_be(native: Native, content: bytes) -> None:
    """Truncated, misencoded, deep or different JSON is 400."""
    answer = await post(native, content)
    assert (answer.status_code, problem_of(answer)) == (400, "invalid-input")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"address": None}, "address"),
        ({"binding_type": None}, "binding_type"),
        ({"binding_type": "APN"}, "binding_type"),
        ({"binding_type": 1}, "binding_type"),
        ({"address": ""}, "address"),
        ({"address": 12}, "address"),
        ({"address": "xyz"}, "address"),
        ({"address": "a" * 63}, "address"),
        ({"address": "a" * 202}, "address"),
        ({"address": "nul\0"}, "address"),
        ({"address": "ümläut", "binding_type": "fcm"}, "address"),
        ({"address": "x" * 4097, "binding_type": "fcm"}, "address"),
        ({"address": "15005550006", "binding_type": "sms"}, "address"),
        ({"address": "+0123", "binding_type": "sms"}, "address"),
        ({"device_id": ""}, "device_id"),
        ({"device_id": "x" * 257}, "device_id"),
        ({"device_id": "nul\0"}, "device_id"),
        ({"device_id": 7}, "device_id"),
        ({"identity": ""}, "identity"),
        ({"identity": "x" * 257}, "identity"),
        ({"identity": "nul\0"}, "identity"),
        ({"identity": None}, "identity"),
        ({"identity": "US" + "a" * 32}, "identity"),
        ({"tags": "ios"}, "tags"),
        ({"tags": ["x"] * 21}, "tags"),
        ({"tags": ["x" * 129]}, "tags[0]"),
        ({"tags": [1]}, "tags[0]"),
        ({"session": "x" * 257}, "session"),
        ({"credential_sid": "CR1"}, "credential_sid"),
        ({"notification_protocol_version": 3}, "notification_protocol_version"),
        ({"notification_protocol_version": "x" * 17}, "notification_protocol_version"),
        ({"channels": ["push"]}, "channels[0]"),
        ({"channels": []}, "channels"),
        ({"channels": ["chat"], "binding_type": "sms", "address": "+15005550006"}, "channels"),
        ({"chat": {"endpoint": "e"}}, "chat"),
        ({"channels": ["chat"], "chat": {"endpoint": "x" * 513}}, "chat.endpoint"),
        ({"channels": ["chat"], "chat": {"endpoint": "e", "mode": 1}}, "chat.mode"),
        ({"adress": APN}, "adress"),
        ({"version": -1}, "version"),
        ({"tags": [10**400]}, "tags[0]"),
    ],
)
async def test_the_field_is_named(native: Native, change: dict[str, Any], field: str) -> None:
    """Each broken rule is 400, names its field, and registers nothing."""
    body = {"identity": "alice", "binding_type": "apn", "address": APN, **change}
    content = json.dumps({k: v for k, v in body.items() if v is not None}).encode()
    answer = await post(native, content)
    assert (answer.status_code, problem_of(answer)) == (400, "invalid-input")
    assert answer.json()["field"] == field
    assert await native.bindings("alice") == []


async def test_no_answer_repeats_an_address(native: Native) -> None:
    """Not even an error tells the address that it is about (contract 8)."""
    answer = await native.register(address="sensitive-but-not-hex")
    assert "sensitive" not in answer.text


async def test_too_large(native: Native) -> None:
    """A body over 64 KiB is 413."""
    answer = await post(native, b'{"address": "' + b"a" * 70_000 + b'"}')
    assert (answer.status_code, problem_of(answer)) == (413, "body-too-large")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
async def test_the_wrong_content_type(native: Native, content_type: str) -> None:
    """What does not call itself JSON is 415."""
    answer = await post(native, b"{}", {"Content-Type": content_type})
    assert (answer.status_code, problem_of(answer)) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/registrations", 405, "method-not-allowed"),
        ("PUT", "/v1/registrations", 405, "method-not-allowed"),
        ("GET", "/v1/logouts", 405, "method-not-allowed"),
        ("GET", "/v1/registrations/a/b", 404, "not-found"),
        ("DELETE", "/v1/registrations", 400, "invalid-input"),
        ("DELETE", "/v1/registrations?device_id=", 400, "invalid-input"),
    ],
)
async def test_native_paths_answer_problems(native: Native, method: str, path: str, status: int, kind: str) -> None:
    """Whatever goes wrong beneath a native path is a problem."""
    answer = await native.call(method, path, token=app_token("alice"))
    assert (answer.status_code, problem_of(answer)) == (status, kind)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v2/x", "/favicon.ico", "/v1/registrationsX", "/notify"])
async def test_all_other_paths_answer_in_the_vendors_form(native: Native, path: str) -> None:
    """Unknown paths are 404 / 20404."""
    answer = await native.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)
