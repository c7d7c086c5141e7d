"""The three Binding APIs, driven at a second Bindery."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from service.backends.twilio import (
    Account,
    Admission,
    Attempt,
    ChatBindings,
    NotDone,
    NotifyBindings,
    OutcomeUnknown,
    Refused,
)
from service.backends.twilio.errors import AccountRefused
from service.redis import Redis
from tests.contract.upstream import Clients, RunningUpstream, upstream
from tests.servers.fault_proxy import FaultProxy

ADDRESS = "fcm-token:of-a-device-of-alice_0123456789"


async def test_a_binding_is_created_as_asked(clients: Clients) -> None:
    """What was asked for is what the answer says, and what a fetch and a list find."""
    created = await clients.notify.create(
        identity="a user & co",
        binding_type="apn",
        address="00FF" * 16,
        tags=("a tag", "b"),
        credential_sid="CR" + "c" * 32,
        protocol_version="4",
    )
    assert (created.identity, created.binding_type, created.address) == ("a user & co", "apn", "00ff" * 16)
    assert (created.tags, created.credential_sid) == (("a tag", "b"), "CR" + "c" * 32)
    assert created.notification_protocol_version == "4"
    assert created.date_created is not None
    assert abs(created.date_created - datetime.now(UTC)) < timedelta(minutes=1)
    assert await clients.notify.fetch(created.sid) == created
    assert await clients.notify.of(["a user & co"]) == [created]


async def test_an_address_is_replaced_whoever_has_it(clients: Clients) -> None:
    """One create moves an address from one identity to another; the old SID leads nowhere."""
    old = await clients.notify.create(identity="alice", binding_type="fcm", address=ADDRESS)
    new = await clients.notify.create(identity="bob", binding_type="fcm", address=ADDRESS)
    assert await clients.notify.of(["alice", "bob"]) == [new]
    assert await clients.notify.fetch(old.sid) is None
    assert await clients.notify.delete(old.sid) is False
    assert await clients.notify.delete(new.sid) is True
    assert await clients.notify.of(["alice", "bob"]) == []


async def test_a_refusal_is_final_and_quotes_no_address(clients: Clients) -> None:
    """The 21st address of an identity: code and message come through."""
    for n in range(20):
        await clients.notify.create(identity="alice", binding_type="fcm", address=f"token:{n}")
    with pytest.raises(Refused) as caught:
        await clients.notify.create(identity="alice", binding_type="fcm", address=ADDRESS)
    assert (caught.value.status, caught.value.code) == (400, 20001)
    assert caught.value.reason.startswith("400/20001 ")
    assert ADDRESS not in str(caught.value)


@pytest.mark.parametrize("api", ["chat", "conversations"])
async def test_chat_bindings_are_read_and_deleted(clients: Clients, there: RunningUpstream, api: str) -> None:
    """Through either API: by SID, by identity and all of them, page after page."""
    client: ChatBindings = getattr(clients, api)
    mine = await there.chat_bindings("alice", [f"endpoint {n}" for n in range(60)])
    other = await there.chat_bindings("bob", ["endpoint of bob"])
    found = await client.of(["alice"])
    assert {b.sid for b in found} == set(mine)
    assert {(b.identity, b.binding_type) for b in found} == {("alice", "fcm")}
    assert {b.endpoint for b in found} == {f"endpoint {n}" for n in range(60)}
    assert {b.sid for b in await client.of(["alice", "bob", "nobody"])} == {*mine, *other}
    fetched = await client.fetch(other[0])
    assert fetched is not None
    assert (fetched.identity, fetched.endpoint) == ("bob", "endpoint of bob")
    assert await client.delete(other[0]) is True
    assert await client.delete(other[0]) is False
    assert await client.fetch(other[0]) is None


@pytest.mark.parametrize(("api", "size"), [("chat", 50), ("conversations", 100)])
async def test_a_walk_goes_on_from_a_kept_page(clients: Clients, there: RunningUpstream, api: str, size: int) -> None:
    """What a page leads to can be kept and gone on from later, by another process."""
    client: ChatBindings = getattr(clients, api)
    made = await there.chat_bindings("alice", [f"endpoint {n}" for n in range(110)])
    first = await client.page()
    assert len(first.bindings) == size
    assert first.next is not None
    seen, at = {b.sid for b in first.bindings}, msgspec.json.decode(msgspec.json.encode(first.next), type=str | None)
    while at is not None:
        page = await client.page(at)
        assert seen.isdisjoint(b.sid for b in page.bindings)
        seen |= {b.sid for b in page.bindings}
        at = page.next
    assert seen == set(made)


async def test_many_identities_take_few_requests(clients: Clients, proxy: FaultProxy) -> None:
    """A list names as many identities as fit into a URL, each once."""
    identities = [f"user {n}" for n in range(100)]
    created = [
        await clients.notify.create(identity=identity, binding_type="fcm", address=f"token:{identity[5:]}")
        for identity in identities
    ]
    proxy.seen.clear()
    found = await clients.notify.of([*identities, *identities])
    assert sorted(b.sid for b in found) == sorted(b.sid for b in created)
    assert len(proxy.seen) == 3
    proxy.seen.clear()
    await clients.notify.of(["é" * 256, "ü" * 256, "ö" * 256, "ä" * 256])
    assert len(proxy.seen) == 2
    assert all(len(seen.path) < 8000 for seen in proxy.seen)


async def test_no_request_for_no_identity(clients: Clients, proxy: FaultProxy) -> None:
    """An empty filter would list everything."""
    assert await clients.notify.of([]) == []
    assert proxy.seen == []


async def test_pages_lead_nowhere_else(there: RunningUpstream, redis: Redis) -> None:
    """Every page is asked for where the settings say, whatever host the last one named."""
    await there.chat_bindings("alice", [f"endpoint {n}" for n in range(60)])
    port = there.url.rpartition(":")[2]
    # The upstream names in its URLs whatever host it was asked by: here the one, in the settings the other.
    configured = upstream(f"http://localhost:{port}", "chat")
    account = Account(configured, Admission(redis, configured))
    client = ChatBindings(account)
    page = await client.page()
    assert page.next is not None
    assert "localhost" not in page.next
    assert "/" not in page.next
    assert len((await client.page(page.next)).bindings) == 10
    await account.aclose()


async def test_addresses_are_in_no_url(clients: Clients, proxy: FaultProxy) -> None:
    """They travel in the body of a create alone."""
    created = await clients.notify.create(identity="alice", binding_type="fcm", address=ADDRESS)
    await clients.notify.of(["alice"])
    await clients.notify.fetch(created.sid)
    await clients.notify.delete(created.sid)
    assert not any(ADDRESS[10:] in seen.path for seen in proxy.seen)


async def test_refused_credentials_blame_no_binding(there: RunningUpstream, redis: Redis) -> None:
    """A wrong secret is the settings' fault: nothing is final, and the account is left alone for a while."""
    configured = upstream(there.url, "notify", secret="wrong")
    account = Account(configured, Admission(redis, configured))
    client = NotifyBindings(account)
    with pytest.raises(AccountRefused) as caught:
        await client.create(identity="alice", binding_type="fcm", address=ADDRESS)
    assert caught.value.reason == "401/20003 Authenticate"
    with pytest.raises(NotDone, match="left alone") as held:
        await client.of(["alice"])
    assert held.value.retry_after is not None
    assert held.value.retry_after > 20
    await account.aclose()


async def test_an_answer_of_another_kind_is_no_answer(there: RunningUpstream, redis: Redis) -> None:
    """Something else that answers 200 there: what came of the request is not known."""
    configured = upstream(f"{there.url}/livez#", "notify")
    account = Account(configured, Admission(redis, configured))
    with pytest.raises(OutcomeUnknown, match="could not be read"):
        await NotifyBindings(account).of(["alice"])
    await account.aclose()


class _OutOfTime(Attempt):
    """An attempt whose time is up at the second look."""

    looks = 0

    def check(self, seconds: float) -> None:
        self.looks += 1
        if self.looks == 2:
            self.deadline = 0.0
        super().check(seconds)


async def test_nothing_is_sent_without_time_left(clients: Clients, proxy: FaultProxy) -> None:
    """Time is looked at before a request, and again with its connection in hand: not a byte leaves too late."""
    late = Attempt(deadline=0.0)
    with pytest.raises(NotDone):
        await clients.notify.create(identity="alice", binding_type="fcm", address=ADDRESS, attempt=late)
    stopped = _OutOfTime()
    with pytest.raises(NotDone, match="not enough time"):
        await clients.notify.create(identity="alice", binding_type="fcm", address=ADDRESS, attempt=stopped)
    assert (late.sent, stopped.sent, stopped.looks) == (False, False, 2)
    assert proxy.seen == []
    again = Attempt()
    await clients.notify.create(identity="alice", binding_type="fcm", address=ADDRESS, attempt=again)
    assert again.sent
