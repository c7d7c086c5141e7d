"""The Conversations Binding resource: the Chat bindings under ``/conversations``, or by the host's name."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx
import pytest

from service.domain.addresses import BindingType
from tests.e2e.compatible.deployment import (
    ACCOUNT,
    CHAT,
    OTHER_CHAT,
    SERVICE,
    Api,
    drain,
    path_of,
    serving,
    settings_of,
    sids,
)

PATH = f"/v1/Services/{CHAT}/Bindings"
HOST = "http://conversations.bindery.test"
KEYS = [
    "sid", "account_sid", "chat_service_sid", "credential_sid", "date_created", "date_updated", "endpoint", "identity",
    "binding_type", "message_types", "url",
]  # fmt: skip


@pytest.fixture(params=["http://bindery.test/conversations", HOST])
def base(request: pytest.FixtureRequest) -> str:
    """The two ways to this API: a prefix, and a host's name."""
    base: str = request.param
    return base


async def test_fetch(api: Api, base: str) -> None:
    """A binding has the reference's 11 keys, and a URL that leads back to it."""
    sid = await api.bind_chat(
        "a user & co", "endpoint 1", credential_sid="CR" + "a" * 32, message_types=("new_message",)
    )
    url = f"{base}{PATH}/{sid}"
    answer = await api.get(url)
    assert answer.status_code == 200
    binding = answer.json()
    assert list(binding) == KEYS
    for name in ("date_created", "date_updated"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", binding.pop(name))
    assert binding == {
        "sid": sid,
        "account_sid": ACCOUNT,
        "chat_service_sid": CHAT,
        "credential_sid": "CR" + "a" * 32,
        "endpoint": "endpoint 1",
        "identity": "a user & co",
        "binding_type": "fcm",
        "message_types": ["new_message"],
        "url": url,
    }


async def test_lists_filter_and_page(api: Api, base: str) -> None:
    """Filters by type and identity hold on every page; bindings of web sockets can be asked for, and there are none."""
    fcm = [await api.bind_chat("alice", f"endpoint {n}") for n in range(3)]
    apn = await api.bind_chat("bob", "endpoint of bob", kind=BindingType.APN)
    url = f"{base}{PATH}"
    assert set(sids(await api.walk(url, PageSize=2))) == {*fcm, apn}
    assert set(sids(await api.walk(url, PageSize=2, Identity="alice"))) == set(fcm)
    assert sids(await api.walk(url, BindingType=["apn", "twilsock"])) == [apn]
    assert await api.walk(url, BindingType="twilsock") == []
    meta = (await api.get(url, PageSize=2)).json()["meta"]
    assert meta["next_page_url"].startswith(f"{url}?")
    assert (await api.get(url, PageSize=1000)).json()["meta"]["page_size"] == 100
    assert (await api.get(url, BindingType="sms")).status_code == 400


async def test_delete(api: Api, base: str) -> None:
    """A deleted binding is gone from the Chat routes too, and stays gone."""
    sid = await api.bind_chat("alice", "endpoint 1")
    answer = await api.client.delete(f"{base}{PATH}/{sid}")
    assert (answer.status_code, answer.content) == (204, b"")
    await drain(api.service)
    assert (await api.get(f"{base}{PATH}/{sid}")).status_code == 404
    assert (await api.get(f"/v2/Services/{CHAT}/Bindings/{sid}")).status_code == 404
    assert (await api.client.delete(f"{base}{PATH}/{sid}")).status_code == 404


async def test_notify_bindings_are_not_shown(api: Api, base: str) -> None:
    """By its host's name a path speaks of Chat bindings alone, and by any other of Notify bindings alone."""
    notify = (await api.create(f"/v1/Services/{SERVICE}/Bindings")).json()["sid"]
    chat = await api.bind_chat("alice", "endpoint 1")
    assert sids(await api.walk(f"{base}{PATH}")) == [chat]
    assert (await api.get(f"{base}{PATH}/{notify}")).status_code == 404
    assert sids(await api.walk(f"/v1/Services/{SERVICE}/Bindings")) == [notify]
    assert (await api.client.delete(f"/v1/Services/{SERVICE}/Bindings/{chat}")).status_code == 404


async def test_there_is_no_create(api: Api, base: str) -> None:
    """Apps' SDKs make these bindings; the answer says what is allowed."""
    answer = await api.create(f"{base}{PATH}")
    assert (answer.status_code, answer.json()["code"]) == (405, 20004)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("path", [PATH.replace(CHAT, SERVICE), PATH.replace(CHAT, "IS1"), f"{PATH}/BS1", f"{PATH}s"])
async def test_unknown_paths(api: Api, base: str, path: str) -> None:
    """What there is not is a 404 in the vendor's form, with its path."""
    answer = await api.get(f"{base}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)
    assert path_of(f"{base}{path}") in answer.json()["message"]


async def test_credentials_are_asked_for(api: Api, base: str) -> None:
    """As on every compatible route."""
    answer = await api.client.get(f"{base}{PATH}", auth=httpx.BasicAuth(ACCOUNT, "wrong"))
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)


async def test_a_page_token_of_chat_is_not_one_of_conversations(api: Api, base: str) -> None:
    """A token is good for its own list only."""
    for n in range(2):
        await api.bind_chat("alice", f"endpoint {n}")
    chat = (await api.get(f"/v2/Services/{CHAT}/Bindings", PageSize=1)).json()["meta"]["next_page_url"]
    token = httpx.URL(chat).params["PageToken"]
    answer = await api.get(f"{base}{PATH}", PageSize=1, PageToken=token)
    assert (answer.status_code, answer.json()["code"]) == (400, 21481)
    assert (await api.get(f"{base}/v1/Services/{OTHER_CHAT}/Bindings")).json()["bindings"] == []


@pytest.mark.parametrize(
    ("public", "headers", "expected"),
    [
        ("https://push.example.org", {}, "https://push.example.org/conversations"),
        ("https://conversations.example.org", {}, "https://conversations.example.org"),
        (None, {"X-Forwarded-Host": "conversations.example.org"}, "http://conversations.example.org"),
    ],
)
async def test_urls_lead_back_whatever_stands_before(
    environ: dict[str, str], public: str | None, headers: Mapping[str, str], expected: str
) -> None:
    """A public URL without the host's name gets the prefix; a trusted proxy may tell the host's name."""
    more = {"BINDERY_PUBLIC_URL": public} if public else {}
    settings = settings_of(environ, BINDERY_TRUSTED_PROXIES="127.0.0.0/8", **more)
    async with serving(settings) as api:
        asked = headers or {"Host": "conversations.inside.test"}
        meta = (await api.client.get(PATH, headers=asked)).json()["meta"]
        assert meta["url"].startswith(f"{expected}{PATH}?")


async def test_a_strangers_forwarded_host_chooses_no_api(api: Api) -> None:
    """Only a configured proxy may say by which name it was asked."""
    answer = await api.client.get(PATH, headers={"X-Forwarded-Host": "conversations.example.org"})
    assert answer.status_code == 404
