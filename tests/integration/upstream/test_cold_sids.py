"""A SID that is not known here is looked for at the upstream, where there may be a binding made past us."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from service.domain.errors import UpstreamSilent
from service.domain.sids import BindingSid
from service.usecases import notify_bindings
from service.usecases.ending import log_out
from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import Fault, Kind

TOKEN, OTHER = "fcm-token-of-a-device", "fcm-token-of-another"


@pytest.fixture
def pair(patient_pair: Pair) -> Pair:
    """Both; answers may be held for as long as a test needs."""
    return patient_pair


async def test_a_sid_that_is_not_known_is_asked_for_once(pair: Pair) -> None:
    """Found, it is adopted, shown and deleted like any other; there is nothing, that is remembered as well."""
    sid = await pair.create_there("alice", OTHER)
    found = await notify_bindings.fetch(pair.service, sid)
    assert found is not None
    assert (found.sid, found.identity, found.address) == (sid, "alice", OTHER)
    assert await notify_bindings.fetch(pair.service, sid) == found
    assert pair.lists() == 1
    nobodys = str(BindingSid.of(secrets.token_bytes(16)))
    for _ in range(2):
        assert await notify_bindings.fetch(pair.service, nobodys) is None
        assert await notify_bindings.delete(pair.service, nobodys) is False
    assert pair.lists() == 2


async def test_a_binding_made_past_us_is_deleted_by_its_sid(pair: Pair) -> None:
    """Without ever having been shown; and what was logged out is not found."""
    first, second = await pair.create_there("alice", OTHER), await pair.create_there("bob", TOKEN)
    deleting = asyncio.create_task(notify_bindings.delete(pair.service, first))

    async def done() -> bool:
        return deleting.done()

    await pair.drain_until(done)
    assert await deleting
    assert await pair.owners() == {TOKEN: "bob"}
    await log_out(pair.service, "bob")
    assert await notify_bindings.fetch(pair.service, second) is None


async def test_an_upstream_that_does_not_answer_says_nothing_of_a_sid(pair: Pair) -> None:
    """Neither that there is such a binding nor that there is none: 503, and nothing is asked again for a second."""
    sid = await pair.create_there("alice", OTHER)
    pair.proxy.script("GET", Fault(Kind.REFUSAL, status=500))
    for _ in range(2):
        with pytest.raises(UpstreamSilent):
            await notify_bindings.fetch(pair.service, sid)
    assert pair.lists() == 1
    anchor = pair.service.section.anchor
    await pair.running.store.command("DEL", anchor + b":ms" + bytes.fromhex(sid[2:]), key=anchor)
    assert await notify_bindings.fetch(pair.service, sid) is not None
