"""A Chat upstream has an endpoint for each identity that has used the device; here it has one owner."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.bootstrap import runtime
from service.domain.record import Channel
from service.settings import load
from service.usecases.comparing import What, differences
from service.usecases.moving.importing import import_bindings
from service.usecases.moving.switching import cut_over
from service.usecases.service import Service
from tests.integration.upstream.foreign import Foreign, chat_alone
from tests.integration.upstream.pair import Pair
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("quick_backoff")

OLDER, NEWER, NEWEST = "2025-01-01T00:00:00Z", "2025-06-01T00:00:00Z", "2025-07-01T00:00:00Z"


@pytest.fixture
async def shared(valkey: ValkeyServer, foreign: Foreign) -> AsyncIterator[Pair]:
    """With that upstream, without a worker."""
    valkey.call("FLUSHALL")
    async with runtime(load(chat_alone(valkey.url, foreign.url))) as running:
        yield Pair(running, None, foreign.url)  # type: ignore[arg-type]  # nothing stands between


async def imported(pair: Pair) -> None:
    """Twice, which is as good as once; and what is owed is done."""
    assert pair.service.chat_upstream is not None
    for _ in range(2):
        await import_bindings(pair.service, pair.service.chat_upstream)
    await pair.converge()


async def told(service: Service) -> set[tuple[What, str]]:
    """What differs."""
    return {(found.what, found.binding_sid) async for found in differences(service, Channel.CHAT)}


async def kept(service: Service) -> list[str]:
    """Who has a Chat binding here."""
    identities = ["alice", "bob"]
    found = await service.reading.chat_bindings_of([service.fingerprints.owner(identity) for identity in identities])
    return [identity for identity, records in zip(identities, found, strict=True) if records]


@pytest.mark.parametrize("order", [("alice", "bob"), ("bob", "alice")])
async def test_the_newer_one_is_kept_here_and_nothing_deleted_there(
    shared: Pair, foreign: Foreign, order: tuple[str, str]
) -> None:
    """Whichever is listed first: alice's was left when bob logged in on her phone. Nothing differs."""
    times = {"alice": OLDER, "bob": NEWER}
    for identity in order:
        foreign.put_chat(identity, "e-phone", times[identity])
    await imported(shared)
    assert (await kept(shared.service), await told(shared.service)) == (["bob"], set())
    await cut_over(shared.service, Channel.CHAT, agreed=True)
    assert await kept(shared.service) == ["bob"]
    assert foreign.deleted == []


async def test_who_has_used_the_device_since_is_unknown_here_until_imported(shared: Pair, foreign: Foreign) -> None:
    """A cut-over would keep the wrong one."""
    foreign.put_chat("bob", "e-phone", NEWER)
    await imported(shared)
    alices = foreign.put_chat("alice", "e-phone", NEWEST)
    assert await told(shared.service) == {(What.UNKNOWN, alices)}
    await imported(shared)
    assert (await kept(shared.service), await told(shared.service)) == (["alice"], set())
