"""Bindings that are found beside a record of another owner, channel or time: what stands, and what goes."""

from __future__ import annotations

import pytest

from service.domain.addresses import BindingType
from service.redis import Redis
from service.store.adoptions import Outcome
from tests.integration.store.adoption import AUDIT, IMPORT, adopt, after, binding
from tests.integration.store.desk import BOTH, CHAT, NOTIFY
from tests.integration.store.upstream_desk import UpstreamDesk


@pytest.fixture
async def desk(redis: Redis) -> UpstreamDesk:
    return UpstreamDesk(redis)


@pytest.fixture
async def both(redis: Redis) -> UpstreamDesk:
    """A Service with upstreams for Notify and Chat."""
    return UpstreamDesk(redis, external=BOTH)


async def test_a_logout_covers_the_channels_that_it_was_of(both: UpstreamDesk) -> None:
    """Also of bindings whose time is not known (contract 7)."""
    await both.logout("alice", channels=CHAT)
    await both.logout("bob", channels=NOTIFY)
    found = [
        binding(identity, f"{identity}-{channel}", channel=channel, at=0)
        for identity in ("alice", "bob")
        for channel in (NOTIFY, CHAT)
    ]
    outcomes = [await adopt(both, each) for each in found]
    assert outcomes == [[Outcome.ADOPTED], [Outcome.REMOVED], [Outcome.REMOVED], [Outcome.ADOPTED]]


async def test_a_logout_of_a_number_covers_messaging(desk: UpstreamDesk) -> None:
    """It was asked for by name; that of its identity spares it."""
    await desk.logout("alice", address="+15005550006")
    assert await adopt(desk, binding("alice", "+15005550006", kind=BindingType.SMS)) == [Outcome.REMOVED]


async def test_a_list_from_before_a_logout_brings_nothing_back(desk: UpstreamDesk) -> None:
    """However new the binding says that it is, and whoever's it is: it goes with what is on its way out."""
    began = await desk.adoptions.begin()
    await desk.apply("alice", "token", "phone")
    await desk.logout("alice", device="phone")
    found = binding("bob", "token", at=await after(desk) + 100)
    assert await adopt(desk, found, began=began) == [Outcome.REMOVED]
    assert found.sid in {trace.sid for trace in (await desk.known("token")).traces}


async def test_what_is_on_its_way_out_is_ours_to_end(desk: UpstreamDesk) -> None:
    """What is newer there is looked at once that is settled; a registration for Chat alone stays as it is."""
    await desk.apply("alice", "token", "phone")
    await desk.logout("alice", device="phone")
    assert await adopt(desk, binding("bob", "token", at=await after(desk) + 100), source=AUDIT) == [Outcome.OURS]
    await desk.login("carol", "another", "tablet", channels=CHAT)
    assert await adopt(desk, binding("bob", "another", at=await after(desk) + 100), source=AUDIT) == [Outcome.OURS]
    assert (await desk.desired("bob"), await desk.desired("carol")) == (set(), {"another"})


async def test_a_chat_binding_that_is_older_takes_nothing(alone: UpstreamDesk) -> None:
    """It is told apart from what is here, and changes nothing."""
    now = await after(alone)
    await adopt(alone, binding("alice", "e", "t", channel=CHAT, at=now), source=IMPORT)
    older = [binding("alice", "e", *tags, channel=CHAT, at=now) for tags in (("t",), ("other",))]
    assert await adopt(alone, *older, source=IMPORT) == [Outcome.SAME, Outcome.OURS]
    [[record]] = [found or [] for found in await alone.reading.chat_bindings_of([alone.owner("alice")])]
    assert record.attributes.tags == ("t",)


async def test_what_an_upstream_allows_to_two_identities_is_deleted_of_neither(both: UpstreamDesk) -> None:
    """That somebody else is found to have an endpoint is no reason to end the former one's there."""
    await adopt(both, binding("alice", "e", channel=CHAT), source=IMPORT)
    newer = binding("bob", "e", channel=CHAT, at=await after(both))
    assert await adopt(both, newer, source=IMPORT) == [Outcome.ADOPTED]
    assert (await both.chats("alice"), await both.chats("bob")) == (set(), {"e"})
    assert await both.depth() == 0
    newest = binding("bob", "e", "t", channel=CHAT, at=newer.updated + 1)
    assert await adopt(both, newest, source=IMPORT) == [Outcome.REPLACED]


async def test_an_endpoint_that_a_registration_has_lost_is_ended_there(both: UpstreamDesk) -> None:
    """Whose it was, was said by an app: what an upstream holds of that is to go."""
    await both.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    newer = binding("bob", "e", channel=CHAT, at=await after(both))
    assert await adopt(both, newer, source=IMPORT) == [Outcome.ADOPTED]
    taken = await both.ledgers.take_chat(both.chat_lane("alice"), 10, 30_000)
    assert taken is not None
    works = {work.owner: work for work in taken[1]}
    assert [(record.address, record.channels) for record in works[both.owner("alice")].records] == [("e", 0)]
