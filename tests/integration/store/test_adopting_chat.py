"""Chat bindings that were found become records: whose they are, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from service.redis import Redis
from service.store.adoptions import Outcome
from service.store.ledger import Settlement, Verdict
from tests.integration.store.adoption import IMPORT, adopt, binding
from tests.integration.store.desk import BOTH, CHAT
from tests.integration.store.upstream_desk import UpstreamDesk


@pytest.fixture
async def both(redis: Redis) -> UpstreamDesk:
    """A Service with upstreams for Notify and Chat."""
    return UpstreamDesk(redis, external=BOTH)


async def test_chat_bindings_are_imported_without_registrations(alone: UpstreamDesk) -> None:
    """Shown under their SIDs until an app registers them, somebody else does, or their identity logs out."""
    phone, pc = binding("alice", "e-phone", channel=CHAT), binding("alice", "e-pc", channel=CHAT)
    assert await adopt(alone, phone, pc, source=IMPORT) == [Outcome.ADOPTED, Outcome.ADOPTED]
    assert await adopt(alone, phone, pc, source=IMPORT) == [Outcome.SAME, Outcome.SAME]
    assert await alone.chats("alice") == {"e-phone", "e-pc"}
    located = await alone.reading.binding(phone.sid, chat=True)
    assert located is not None
    assert located.visible_sid(CHAT) == phone.sid
    await alone.login("bob", "token", "phone", channels=BOTH, endpoint="e-phone")
    await alone.drain()
    assert (await alone.chats("alice"), await alone.chats("bob")) == ({"e-pc"}, {"e-phone"})
    assert await adopt(alone, phone, source=IMPORT) == [Outcome.OURS]
    assert await alone.logout("alice") == 1
    await alone.drain()
    assert await alone.chats("alice") == set()
    assert await adopt(alone, pc, source=IMPORT) == [Outcome.ENDED]
    keys: Any = await alone.redis.command("KEYS", f"{{{alone.sid}}}:a*", key=alone.section.anchor)
    assert keys == []


async def test_a_chat_binding_that_was_imported_is_registered(alone: UpstreamDesk) -> None:
    """By the app that it belongs to: from then on the registration's, and deleted by SID with it."""
    await adopt(alone, binding("alice", "e-phone", channel=CHAT), source=IMPORT)
    await alone.login("alice", "token", "phone", channels=BOTH, endpoint="e-phone")
    await alone.drain()
    [[record]] = [found or [] for found in await alone.reading.chat_bindings_of([alone.owner("alice")])]
    assert (record.link, record.layout) == (alone.fingerprint("token"), 1)
    assert await alone.delete(record.sid, chat=True)


async def test_a_late_chat_settlement_breaks_nobodys_lease(both: UpstreamDesk) -> None:
    """Or two workers at one identity, one of them late once, would break each other's for as long as both go on."""
    await both.login("alice", "one", "phone", channels=BOTH)
    lane = both.chat_lane("alice")
    first = await both.ledgers.take_chat(lane, 10, 1)
    assert first is not None
    second = None
    while second is None:
        second = await both.ledgers.take_chat(lane, 10, 30_000)
    outcomes = [
        await both.ledgers.settle_chat(
            lane,
            token,
            work.owner,
            [Settlement(r.fingerprint, r.version, Verdict.HELD) for r in work.records],
            external=True,
        )
        for token, [work] in (first, second)
    ]
    assert outcomes == [False, True]
    assert await both.chats("alice") == {"alice:phone"}


async def test_imported_chat_bindings_at_an_upstream(both: UpstreamDesk) -> None:
    """Nothing is owed for them, and they speak for nobody: whose an endpoint is says who has registered it."""
    found = binding("alice", "e-phone", channel=CHAT)
    assert await adopt(both, found, source=IMPORT) == [Outcome.ADOPTED]
    assert await both.depth() == 0
    endpoint = both.section.fingerprints.endpoint("e-phone")
    assert await both.reading.owners_of_endpoints([endpoint]) == [b""]
    await both.logout("alice")
    taken = await both.ledgers.take_chat(both.chat_lane("alice"), 10, 1000)
    assert taken is not None
    assert [(r.address, r.channels) for work in taken[1] for r in work.records] == [("e-phone", 0)]
    other = binding("alice", "e-other", channel=CHAT)
    assert await adopt(both, other) == [Outcome.REMOVED]
