"""Bad input gets its exact 4xx, names the field and changes nothing; none is a 500 or a traceback."""

import gzip
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
        ({"channels": ["chat"], "chat": {"endpoint": "e", "mode": 1}}, "chat"),
        ({"adress": APN}, "body"),
        ({"version": -1}, "body"),
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


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"binding_type": "ios"}, "binding_type: must be one of: apn, fcm, gcm, sms, facebook-messenger, alexa"),
        ({"channels": ["mail"]}, "channels[0]: must be one of: notify, chat"),
    ],
)
async def test_a_choice_is_told_with_what_there_is_to_choose(native: Native, change: dict[str, Any], rule: str) -> None:
    """Where few values are allowed, the answer has them all."""
    answer = await native.register(**change)
    assert (answer.status_code, answer.json()["detail"]) == (400, rule)


async def test_no_answer_repeats_an_address(native: Native) -> None:
    """Not even an error tells the address that it is about (contract 8)."""
    answer = await native.register(address="sensitive-but-not-hex")
    assert "sensitive" not in answer.text


@pytest.mark.parametrize(
    ("more", "field", "meant"),
    [
        ({"adress": APN}, "body", "did you mean address?"),
        ({"deviceId": "phone"}, "body", "did you mean device_id?"),
        ({"chat": {"endpont": "e"}}, "chat", "did you mean endpoint?"),
        ({"+15005550006": True}, "body", None),
        ({APN: 1}, "body", None),
        ({"x" * 60_000: 1}, "body", None),
    ],
)
async def test_no_answer_repeats_the_name_of_an_unknown_field(
    native: Native, more: dict[str, Any], field: str, meant: str | None
) -> None:
    """It may be an address; but who has mistyped a name is told which one."""
    answer = await native.register(channels=["notify", "chat"], **more)
    assert (answer.status_code, problem_of(answer), answer.json()["field"]) == (400, "invalid-input", field)
    for name in more:
        assert name in ("address", "chat") or name not in answer.json()["detail"].split(": did you mean")[0]
        assert name == "chat" or name not in answer.text
    assert (meant or "known here") in answer.json()["detail"]
    assert ("did you mean" in answer.text) is (meant is not None)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "device_id"),
        ("device_id=", "device_id"),
        ("device_id=%FF", "device_id"),
        ("device_id=a%00b", "device_id"),
        ("device_id=a&device_id=b", "device_id"),
        ("device_id=" + "x" * 257, "device_id"),
        ("device_id=a&service=main&service=other", "service"),
        ("device_id=a&service=%ff", "service"),
        ("device_id=a&x=%ff", None),
        ("device_id=a&servce=other", "query"),
    ],
)
async def test_a_query_that_cannot_be_read(native: Native, query: str, field: str | None) -> None:
    """What is missing, repeated, too long, not UTF-8 or holds a NUL is 400, named, and logs nobody out."""
    token = app_token("alice")
    for device in ("a", "b"):
        await native.register(token=token, address=device * 64, device_id=device)
    answer = await native.call("DELETE", f"/v1/registrations?{query}", token=token)
    assert (answer.status_code, problem_of(answer)) == (400, "invalid-input")
    assert answer.json().get("field") == field
    assert len(await native.bindings("alice")) == 2


@pytest.mark.parametrize(
    ("query", "field", "meant"),
    [
        ("unless_seen_sinse=2026-01-31T12:00:00Z", "query", "did you mean unless_seen_since?"),
        ("unless_seen_since=%ff", "unless_seen_since", None),
        ("device_id=phone", "query", None),
    ],
)
async def test_a_mistyped_condition_is_not_left_out(native: Native, query: str, field: str, meant: str | None) -> None:
    """Nothing is removed that a condition was to keep."""
    location = (await native.register()).headers["location"]
    answer = await native.call("DELETE", f"{location}?{query}")
    assert (answer.status_code, answer.json().get("field")) == (400, field)
    assert (meant or "") in answer.json()["detail"]
    assert len(await native.bindings("alice")) == 1


async def test_a_logout_is_not_wider_than_it_was_asked_for(native: Native) -> None:
    """What belongs into the body and stands in the query narrows nothing: refused; and so are two Services."""
    await native.register()
    for query in ("device_id=other", "service=other"):
        body = {"identity": "alice", "service": "main"}
        answer = await native.call("POST", f"/v1/logouts?{query}", json=body)
        assert answer.status_code == 400
    assert len(await native.bindings("alice")) == 1


@pytest.mark.parametrize("identity", ["%FF", "a%00b", "%ED%A0%80", "x" * 257])
async def test_an_identity_in_the_path_that_cannot_be_one(native: Native, identity: str) -> None:
    """Not UTF-8, a NUL, too long: 400, and named."""
    answer = await native.call("GET", f"/v1/identities/{identity}/bindings")
    assert (answer.status_code, problem_of(answer), answer.json()["field"]) == (400, "invalid-input", "identity")


async def test_too_large(native: Native) -> None:
    """A body over 64 KiB is 413."""
    answer = await post(native, b'{"address": "' + b"a" * 70_000 + b'"}')
    assert (answer.status_code, problem_of(answer)) == (413, "body-too-large")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
async def test_the_wrong_content_type(native: Native, content_type: str) -> None:
    """What does not call itself JSON is 415."""
    answer = await post(native, b"{}", {"Content-Type": content_type})
    assert (answer.status_code, problem_of(answer)) == (415, "unsupported-media-type")


@pytest.mark.parametrize("header", [{"Content-Encoding": "gzip"}, {"Transfer-Encoding": "gzip, chunked"}])
async def test_a_compressed_body(native: Native, header: dict[str, str]) -> None:
    """Is told to come as it is (RFC 9110, 15.5.16): its bytes are no JSON, but that is not what is wrong with it."""
    answer = await post(native, gzip.compress(b"{}"), {**JSON, **header})
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
        ("GET", "/v1/identities", 404, "not-found"),
        ("GET", "/v1/identities/alice", 404, "not-found"),
        ("GET", "/v1/identities/alice/bindings/more", 404, "not-found"),
        ("POST", "/v1/identities/alice/bindings", 405, "method-not-allowed"),
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
