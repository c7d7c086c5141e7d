"""Who asks an upstream, and whose answer counts: one process at a time, and none for long."""

from __future__ import annotations

import pytest

from service.redis import Redis
from service.store.listings import Asked, Listings, Standing, Work
from tests.integration.store.desk import Desk
from tests.integration.store.upstream_desk import new_sid
from tests.waiting import eventually


@pytest.fixture
async def desk(redis: Redis) -> Desk:
    return Desk(redis)


@pytest.fixture
def listings(desk: Desk) -> Listings:
    """Of a Service."""
    return Listings(desk.section, listed_ms=60_000, empty_ms=60_000)


async def standing(listings: Listings, asked: Asked) -> Standing:
    """How it stands with one."""
    _, [found] = await listings.claim([asked])
    return found


async def test_one_asks_and_the_others_wait(listings: Listings) -> None:
    """Until it is done; from then on the answer counts."""
    alice, sid = listings.of("alice"), Asked.sid(new_sid())
    began, found = await listings.claim([alice, sid])
    assert found == [Standing.CLAIMED, Standing.CLAIMED]
    assert (await listings.claim([alice, sid]))[1] == [Standing.AWAITED, Standing.AWAITED]
    await listings.done(began, [alice, sid], [False, True])
    assert (await listings.claim([alice, sid]))[1] == [Standing.FRESH, Standing.FRESH]


async def test_what_has_failed_is_owed_to_workers(listings: Listings) -> None:
    """Of identities; nobody waits for it. What one worker has taken no other takes, until its lease is over."""
    alice = listings.of("alice")
    await listings.claim([alice])
    await listings.owe([alice], failed=True)
    assert await standing(listings, alice) is Standing.OWED
    work = await listings.take(10, 30_000)
    assert work is not None
    assert work.identities == ["alice"]
    assert await listings.take(10, 30_000) is None
    await listings.done(work.began, [alice], [False], token=work.token)
    assert await standing(listings, alice) is Standing.FRESH


async def test_a_worker_that_died_leaves_its_work_to_others(listings: Listings) -> None:
    """When its lease is over."""
    await listings.owe([listings.of("alice")], failed=False)
    work = await listings.take(10, 1)
    assert work is not None

    async def taken_again() -> Work | None:
        return await listings.take(10, 30_000)

    again = await eventually(taken_again)
    assert again is not None
    assert again.identities == ["alice"]


async def test_a_list_from_before_a_logout_does_not_stand_for_it(listings: Listings) -> None:
    """A claim that was wiped meanwhile makes no answer fresh, and what is owed since stays so."""
    alice = listings.of("alice")
    began, _ = await listings.claim([alice])
    await listings.owe([alice], failed=False)
    await listings.done(began, [alice], [False])
    assert await standing(listings, alice) is Standing.CLAIMED
    assert await listings.take(10, 30_000) is not None


async def test_a_logout_during_a_workers_list_is_listed_again(listings: Listings) -> None:
    """It was owed anew while the list was under way."""
    alice = listings.of("alice")
    await listings.owe([alice], failed=False)
    work = await listings.take(10, 30_000)
    assert work is not None
    await listings.owe([alice], failed=False)
    await listings.done(work.began, [alice], [False], token=work.token)
    assert await listings.take(10, 30_000) is not None
