"""The vendor's Python SDK, unchanged but for the base URL, against a real API process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from twilio.base.exceptions import (  # type: ignore[import-untyped]  # the SDK has no types to offer
    TwilioException,
    TwilioRestException,
)
from twilio.rest import Client  # type: ignore[import-untyped]  # the same

from tests.e2e.compatible.deployment import ACCOUNT, CHAT, SERVICE, TOKEN, bind_chat_of, settings_of


@pytest.fixture(params=["", "/notify"])
def client(request: pytest.FixtureRequest, server: str) -> Client:
    """The SDK, pointed at the server's root or at the products' prefixes."""
    client = Client(ACCOUNT, TOKEN)
    client.notify.base_url = server + request.param
    client.chat.base_url = server + ("/chat" if request.param else "")
    client.conversations.base_url = server + "/conversations"
    return client


def test_notify(client: Client) -> None:
    """Create, fetch, list, stream, page and delete Notify bindings."""
    bindings = client.notify.v1.services(SERVICE).bindings
    created = bindings.create(
        identity="a user & co", binding_type="apn", address="Unit 3856 Box 3973\nDPO AA 31194", tag=["lone tag"]
    )
    assert created.sid is not None
    assert (created.identity, created.tags, created.notification_protocol_version) == ("a user & co", ["lone tag"], "3")
    assert created.date_created is not None
    assert abs(created.date_created - datetime.now(UTC)) < timedelta(minutes=1)
    fetched = bindings(created.sid).fetch()
    assert (fetched.sid, fetched.url, fetched.address) == (created.sid, created.url, created.address)
    for n in range(6):
        bindings.create(identity=f"user {n}", binding_type="fcm", address=f"address {n}", tag=["a", "b"])
    everything = {b.sid for b in bindings.list()}
    assert len(everything) == 7
    assert {b.sid for b in bindings.list(limit=1000)} == everything
    assert {b.sid for b in bindings.stream(page_size=3)} == everything
    assert len(bindings.list(limit=4, page_size=3)) == 4
    assert [b.sid for b in bindings.list(identity=["a user & co"])] == [created.sid]
    assert [b.sid for b in bindings.list(tag=["lone tag"])] == [created.sid]
    assert len(bindings.list(tag=["b", "a", "fcm"], identity=["user 1", "user 2"])) == 2
    today = created.date_created.date()
    assert len(bindings.list(start_date=today, end_date=today, page_size=2)) == 7
    assert bindings.list(start_date=today + timedelta(1)) == []
    first = bindings.page(page_size=3)
    shown = [b.sid for b in first]
    second = first.next_page()
    assert second is not None
    back = second.previous_page()
    assert back is not None
    assert [b.sid for b in back] == shown
    assert bindings(created.sid).delete() is True
    with pytest.raises(TwilioRestException) as caught:
        bindings(created.sid).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)


def test_errors(client: Client) -> None:
    """The SDK understands our errors."""
    bindings = client.notify.v1.services(SERVICE).bindings
    with pytest.raises(TwilioRestException) as caught:
        bindings.create(identity="alice", binding_type="web", address="a")
    assert (caught.value.status, caught.value.code) == (400, 20001)
    assert "BindingType" in caught.value.msg
    with pytest.raises(TwilioException, match="400"):
        bindings.list(tag=list("abcdef"))
    stranger = Client(ACCOUNT, "wrong")
    stranger.notify.base_url = client.notify.base_url
    with pytest.raises(TwilioException, match="401"):
        stranger.notify.v1.services(SERVICE).bindings.list()


@pytest.mark.parametrize("identity", ["a user", "alice@example.org", "été"])
def test_chat(environ: dict[str, str], client: Client, identity: str) -> None:
    """Fetch, list and delete Chat bindings and a user's bindings, the user named by identity or by SID."""
    endpoints = [f"endpoint {n}" for n in range(5)]
    made = asyncio.run(bind_chat_of(settings_of(environ), identity, endpoints))
    service = client.chat.v2.services(CHAT)
    assert {b.sid for b in service.bindings.list(page_size=2)} == set(made)
    assert {b.sid for b in service.bindings.list(binding_type=["fcm"], identity=[identity])} == set(made)
    assert service.bindings.list(binding_type=["apn", "gcm"]) == []
    binding = service.bindings(made[0]).fetch()
    assert (binding.identity, binding.endpoint, binding.service_sid) == (identity, "endpoint 0", CHAT)
    assert binding.links is not None
    user = service.users(identity)
    assert {b.sid for b in user.user_bindings.list(page_size=2)} == set(made)
    assert {b.sid for b in user.user_bindings.list(binding_type=["fcm"])} == set(made)
    user_binding = user.user_bindings(made[1]).fetch()
    assert user_binding.user_sid is not None
    by_sid = service.users(user_binding.user_sid).user_bindings
    assert by_sid(made[1]).fetch().url == user_binding.url
    assert by_sid(made[1]).delete() is True
    assert user.user_bindings(made[2]).delete() is True
    assert service.bindings(made[3]).delete() is True
    assert {b.sid for b in by_sid.list()} == {made[0], made[4]}
    for gone in (service.bindings(made[1]), user.user_bindings(made[3])):
        with pytest.raises(TwilioRestException) as caught:
            gone.fetch()
        assert (caught.value.status, caught.value.code) == (404, 20404)
    with pytest.raises(TwilioException, match="404"):
        service.users("nobody").user_bindings.list()


def test_conversations(environ: dict[str, str], client: Client) -> None:
    """Fetch, list and delete bindings through the Conversations API."""
    made = asyncio.run(bind_chat_of(settings_of(environ), "a user", [f"endpoint {n}" for n in range(3)]))
    bindings = client.conversations.v1.services(CHAT).bindings
    assert {b.sid for b in bindings.list(page_size=2)} == set(made)
    assert {b.sid for b in bindings.list(binding_type=["fcm", "apn"], identity=["a user"])} == set(made)
    assert bindings.list(binding_type=["twilsock"]) == []
    binding = bindings(made[0]).fetch()
    assert (binding.identity, binding.endpoint, binding.chat_service_sid) == ("a user", "endpoint 0", CHAT)
    assert binding.message_types is not None
    assert bindings(made[0]).delete() is True
    with pytest.raises(TwilioRestException) as caught:
        bindings(made[0]).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
    assert {b.sid for b in client.chat.v2.services(CHAT).bindings.list()} == {made[1], made[2]}


def test_the_servers_own_proxy_headers_are_off(server: str) -> None:
    """The HTTP server believes no forwarded header by itself: only configured proxies are believed, by us."""
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Host": "evil.test"}
    url = f"{server}/v1/Services/{SERVICE}/Bindings"
    meta = httpx.get(url, headers=headers, auth=(ACCOUNT, TOKEN)).json()["meta"]
    assert meta["url"] == f"{url}?PageSize=50&Page=0"


def test_a_slash_in_an_identity(environ: dict[str, str], server: str) -> None:
    """``%2F`` in a path is part of the identity, on a real server too."""
    [sid] = asyncio.run(bind_chat_of(settings_of(environ), "a/b c", ["endpoint"]))
    answer = httpx.get(f"{server}/v2/Services/{CHAT}/Users/a%2Fb%20c/Bindings", auth=(ACCOUNT, TOKEN))
    assert [b["sid"] for b in answer.json()["bindings"]] == [sid]
