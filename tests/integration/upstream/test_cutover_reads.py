"""What is read of Chat bindings around a cut-over, by processes that have not heard of it yet."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.bootstrap import runtime
from service.domain.errors import BadPageToken
from service.domain.record import Channel
from service.settings import load
from service.usecases import chat_bindings
from service.usecases.chat_bindings import Filter
from service.usecases.ending import log_out
from service.usecases.moving.switching import cut_over
from service.usecases.paging import Position
from tests.e2e.compatible.deployment import bind_chat_of, settings_of
from tests.integration.upstream.pair import Pair, environment
from tests.servers.fault_proxy import FaultProxy
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("quick_backoff")

BOTH = Channel.NOTIFY | Channel.CHAT


@pytest.fixture
async def readers(
    both: Pair,  # noqa: ARG001  # whose store they read
    valkey: ValkeyServer,
    proxy: FaultProxy,
    upstream_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[list[Pair]]:
    """Two processes that only read, and hear of nothing by themselves."""
    monkeypatch.setattr("service.bootstrap._FOLLOW_SECONDS", 3600)
    environ = {**environment(valkey.url, proxy.url), "BINDERY_CHAT_UPSTREAM_URL": proxy.url}
    async with runtime(load(environ)) as one, runtime(load(environ)) as another:
        found = [Pair(running, proxy, upstream_url) for running in (one, another)]
        for reader in found:
            await reader.service.section.open()
        yield found


async def test_who_only_reads_hears_of_it_as_well(
    both: Pair, readers: list[Pair], environ_there: dict[str, str]
) -> None:
    """What the upstream showed is judged by what it is to hold: that it is the backend no more is told in time."""
    phone, _ = await bind_chat_of(settings_of(environ_there), "alice", ["e-phone", "e-tablet"])
    await both.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await both.bind("alice", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    await both.converge()
    await cut_over(both.service, BOTH, agreed=True)
    await log_out(both.service, "alice", device_id="phone")
    await both.converge()
    assert await chat_bindings.fetch(readers[0].service, phone) is None
    for wanted in Filter(identities=("alice",)), Filter():
        found = await chat_bindings.page(readers[1].service, wanted, Position(), 50)
        assert [binding.endpoint for binding in found.items] == ["e-tablet"]
    assert readers[0].service.section.cut_over


async def test_who_only_reads_finds_what_has_come_since(both: Pair, readers: list[Pair]) -> None:
    """That the upstream holds nothing of the kind means nothing any more."""
    await cut_over(both.service, BOTH, agreed=True)
    await both.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await both.converge()
    [phone] = (await chat_bindings.page(both.service, Filter(), Position(), 50)).items
    assert await chat_bindings.fetch(readers[0].service, phone.sid) == phone
    assert (await chat_bindings.page(readers[1].service, Filter(), Position(), 50)).items == [phone]


async def test_the_way_on_at_an_upstream_ends_with_it(both: Pair, environ_there: dict[str, str]) -> None:
    """A list of everything that was begun there begins anew here: nothing is skipped, and nothing shown for it."""
    await bind_chat_of(settings_of(environ_there), "alice", ["e-phone", "e-tablet"])
    await both.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await both.bind("alice", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    await both.converge()
    begun = await chat_bindings.page(both.service, Filter(), Position(), 1)
    assert begun.next
    await cut_over(both.service, BOTH, agreed=True)
    for wanted in Filter(), Filter(identities=("alice",)):
        with pytest.raises(BadPageToken):
            await chat_bindings.page(both.service, wanted, begun.next, 1)
