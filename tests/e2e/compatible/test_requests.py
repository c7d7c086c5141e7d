"""What every compatible route does with credentials, bad input, and what it cannot know."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from service.domain.limits import BODY_BYTES, FORM_FIELDS
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, SERVICE, TOKEN, Api, serving, settings_of
from tests.servers.valkey import ValkeyServer

FORM = "application/x-www-form-urlencoded"
PATH = f"/v1/Services/{SERVICE}/Bindings"
GOOD = b"Identity=alice&BindingType=apn&Address=address"
EVERY = [
    ("POST", PATH),
    ("GET", PATH),
    ("GET", f"{PATH}/BS{'0' * 32}"),
    ("DELETE", f"{PATH}/BS{'0' * 32}"),
    ("GET", f"/v2/Services/{CHAT}/Bindings"),
    ("GET", f"/v2/Services/{CHAT}/Bindings/BS{'0' * 32}"),
    ("DELETE", f"/v2/Services/{CHAT}/Bindings/BS{'0' * 32}"),
    ("GET", f"/v2/Services/{CHAT}/Users/alice/Bindings"),
    ("GET", f"/v2/Services/{CHAT}/Users/alice/Bindings/BS{'0' * 32}"),
    ("DELETE", f"/v2/Services/{CHAT}/Users/alice/Bindings/BS{'0' * 32}"),
]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, after a look at its form."""
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    error: dict[str, Any] = answer.json()
    assert set(error) == {"code", "message", "more_info", "status"}
    assert error["more_info"] == f"https://www.twilio.com/docs/errors/{error['code']}"
    assert error["status"] == answer.status_code
    return error


async def send(api: Api, content: bytes, content_type: str | None = FORM) -> httpx.Response:
    """A create with this body."""
    headers = {} if content_type is None else {"content-type": content_type}
    return await api.client.post(PATH, content=content, headers=headers)


@pytest.mark.parametrize(("method", "path"), EVERY)
@pytest.mark.parametrize("prefixed", [False, True])
async def test_no_route_answers_strangers(api: Api, method: str, path: str, prefixed: bool) -> None:
    """Without credentials, or with wrong ones, every route answers 401 and asks for Basic."""
    if prefixed:
        path = ("/notify" if path.startswith("/v1") else "/chat") + path
    for auth in (None, (ACCOUNT, "wrong"), ("AC" + "9" * 32, TOKEN)):
        api.client.auth = httpx.BasicAuth(*auth) if auth else None  # type: ignore[assignment]  # None takes it away
        answer = await api.client.request(method, path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
        error = error_of(answer)
        assert (error["code"], error["message"]) == (20003, "Authenticate")


async def test_an_api_key_holds_too(api: Api) -> None:
    """A server may call with an API key, SK… and its secret."""
    api.client.auth = httpx.BasicAuth("SK" + "1" * 32, "the secret of a key")
    assert (await api.create(PATH)).status_code == 201


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v2",
        "/v1/Services",
        f"/v1/Services/{SERVICE}",
        "/notify",
        "/chat/v1",
        "/favicon.ico",
        "/%F0%9F%98%80",
    ],
)
async def test_unknown_paths_are_not_found(api: Api, path: str) -> None:
    """Unknown paths answer 404 in the vendor's form."""
    answer = await api.get(path)
    assert (answer.status_code, error_of(answer)["code"]) == (404, 20404)


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", PATH), ("PATCH", PATH), ("POST", f"{PATH}/BS0"), ("DELETE", PATH)]
)
async def test_other_methods_are_not_allowed(api: Api, method: str, path: str) -> None:
    """A method that a resource does not have is a 405."""
    answer = await api.client.request(method, path)
    assert (answer.status_code, error_of(answer)["code"]) == (405, 20004)


async def test_deleting_a_users_list_is_not_allowed(api: Api) -> None:
    """A list of a user's bindings cannot be deleted as a whole."""
    answer = await api.client.delete(f"/v2/Services/{CHAT}/Users/alice/Bindings")
    assert (answer.status_code, error_of(answer)["code"]) == (405, 20004)
    assert "GET" in answer.headers["allow"]
    assert "DELETE" not in answer.headers["allow"]


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "multipart/form-data; boundary=x", "text/plain", f"{FORM}; charset=latin-1"],
)
async def test_another_content_type_is_refused(api: Api, content_type: str | None) -> None:
    """A create must be a form in UTF-8, and say so."""
    answer = await send(api, GOOD, content_type)
    assert (answer.status_code, error_of(answer)["code"]) == (415, 20001)
    assert await api.walk(PATH) == []


@pytest.mark.parametrize("content_type", [FORM, FORM.upper(), f"{FORM};charset=UTF-8", f'{FORM}; charset="utf-8"'])
async def test_a_form_may_name_its_charset(api: Api, content_type: str) -> None:
    """UTF-8 may be named as the form's charset."""
    assert (await send(api, GOOD, content_type)).status_code == 201


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"Identity=%FF&BindingType=apn&Address=a", "Identity"),
        (b"Identity=\xff&BindingType=apn&Address=a", "Identity"),
        (b"Identity=alice&BindingType=apn&Address=a%00b", "Address"),
        (b"Identity=alice&BindingType=apn&Address=a&Tag=\0", "Tag"),
        (b"", "Identity"),
        (b"Identity=ali", "BindingType"),
        (b'{"Identity": "alice"}', "Identity"),
        (b"\x1f\x8b\x08\x00\x00", "parameter"),
        (b"Unknown=%00&" + GOOD, "parameter"),
    ],
)
async def test_a_body_that_is_no_good_form_is_refused(api: Api, content: bytes, named: str) -> None:
    """Bodies that are truncated, empty, not UTF-8, or hold a NUL are refused, naming what is at fault."""
    answer = await send(api, content)
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["code"] == 20001
    assert named in error["message"]
    assert await api.walk(PATH) == []


async def test_10000_form_fields_are_refused(api: Api) -> None:
    """More fields than the limit are refused, naming it; as many as the limit are read."""
    answer = await send(api, GOOD + b"&a=" * 10_000)
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["code"], str(FORM_FIELDS) in error["message"]) == (20001, True)
    answer = await api.get(f"{PATH}?{'&'.join(['a='] * (FORM_FIELDS + 1))}")
    assert error_of(answer)["code"] == 20001
    assert await api.walk(PATH) == []
    assert (await send(api, GOOD + b"&a=" * (FORM_FIELDS - 3))).status_code == 201


async def test_a_huge_body_is_refused(api: Api) -> None:
    """A body over 64 KiB is refused, whether it announces its length or not; up to that it is read."""
    huge = GOOD + b"&a=" + b"x" * BODY_BYTES

    async def chunks() -> Any:
        for at in range(0, len(huge), 1000):
            yield huge[at : at + 1000]

    for content in (huge, chunks()):
        answer = await api.client.post(PATH, content=content, headers={"content-type": FORM})
        assert (answer.status_code, error_of(answer)["code"]) == (413, 20001)
    assert await api.walk(PATH) == []
    full = GOOD + b"&a="
    assert (await send(api, full + b"x" * (BODY_BYTES - len(full)))).status_code == 201


async def test_a_store_that_is_away_is_a_503(environ: dict[str, str], valkey: ValkeyServer) -> None:
    """While the store does not answer, so do we, within its time; then everything recovers by itself."""
    async with serving(settings_of(environ, BINDERY_REDIS_TIMEOUT="0.5")) as api:
        created = (await api.create(PATH)).json()
        form = {"Identity": "bob", "BindingType": "apn", "Address": "bob's"}
        valkey.pause()
        try:
            answers = await asyncio.gather(
                *(api.client.request(method, path, data=form if method == "POST" else None) for method, path in EVERY)
            )
        finally:
            valkey.resume()
        for answer in answers:
            assert (answer.status_code, error_of(answer)["code"]) == (503, 20503)
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.elapsed.total_seconds() < 2
        assert (await api.get(created["url"])).json() == created


async def test_what_nobody_foresaw_is_a_500_without_detail(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """SDKs come back later; the answer quotes nothing of the values at hand."""

    def fails(*_: object) -> None:
        raise RuntimeError("the values at hand")

    monkeypatch.setattr("service.usecases.notify_bindings.fetch", fails)
    answer = await api.client.get(f"{PATH}/BS{'0' * 32}")
    assert (answer.status_code, error_of(answer)["code"]) == (500, 20500)
    assert int(answer.headers["retry-after"]) >= 1
    assert "the values at hand" not in answer.text
