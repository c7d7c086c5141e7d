"""Service-wide lists: every record once, forwards and backwards, whatever is removed meanwhile."""

import pytest

from service.domain.record import Record
from tests.integration.store.desk import BOTH, Desk


async def walk(desk: Desk, size: int, *, backwards: bool = False, chat: bool = False, buckets: int = 2048) -> list[str]:
    """Every address in list order, page by page."""
    found: list[Record] = []
    position = b""
    while True:
        records, position = await desk.reading.scan(
            chat=chat, position=position, backwards=backwards, records=size, buckets=buckets
        )
        found += records
        if not position:
            return [record.address for record in found]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("buckets", [1, 2048])
async def test_a_walk_meets_every_record_once(desk: Desk, size: int, buckets: int) -> None:
    """Whatever the page size and the bound on buckets, a walk shows everything once, in order, both ways."""
    for n in range(60):
        await desk.login(f"user-{n}", f"token-{n}")
    there = await walk(desk, size, buckets=buckets)
    assert sorted(there) == sorted(f"token-{n}" for n in range(60))
    assert [desk.fingerprint(a) for a in there] == sorted(desk.fingerprint(a) for a in there)
    assert await walk(desk, size, backwards=True, buckets=buckets) == there[::-1]


async def test_chat_bindings_have_a_list_of_their_own(desk: Desk) -> None:
    """Notify registrations and Chat bindings never show in each other's lists."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    assert await walk(desk, 10) == ["token"]
    assert await walk(desk, 10, chat=True) == ["alice:phone"]


async def test_an_empty_service_has_an_empty_list(desk: Desk) -> None:
    """Nothing is a list too, and a bucket that was emptied is skipped."""
    assert await walk(desk, 10) == []
    await desk.login("alice", "token")
    await desk.logout("alice")
    await desk.drain()
    assert await walk(desk, 10) == []
    assert await walk(desk, 10, backwards=True) == []
