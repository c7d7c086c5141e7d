"""A binding ends once, and under the SID that it had."""

from __future__ import annotations

import pytest

from service.domain.events import EventType
from service.redis import Redis
from service.store.switched import SwitchedSection
from service.store.switches import Switches
from tests.integration.store import desk as desks
from tests.integration.store.adoption import binding
from tests.integration.store.desk import NOTIFY, Desk
from tests.integration.store.upstream_desk import UpstreamDesk


async def ends(desk: Desk) -> list[str | None]:
    """Of which SIDs it was told that they ended."""
    return [event.binding_sid for event in await desk.events() if event.type is EventType.ENDED]


async def test_what_is_owed_to_an_upstream_after_an_undoing_is_no_second_end(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given up here while the Service was cut over, and told of then."""
    monkeypatch.setattr(desks, "Section", SwitchedSection)
    there = UpstreamDesk(redis)
    switches = Switches(there.section, external=NOTIFY, events_max=1000)
    sid = await there.apply("alice", "token")
    await switches.over(NOTIFY, agreed=True)
    await switches.settle_here(NOTIFY, [there.fingerprint("token")])
    await there.logout("alice")
    await there.drain()
    assert await ends(there) == [str(sid)]
    await switches.back(NOTIFY)
    await switches.take_back(NOTIFY, [], [binding("alice", "token", sid=sid)])
    await switches.done(NOTIFY)
    lease, taken = await there.take("token")
    assert await there.gone("token", lease, taken.record) == 1
    assert await ends(there) == [str(sid)]


async def test_a_worker_that_speaks_up_late_makes_no_second_end(redis: Redis) -> None:
    """What its call may have made is to go, and was nobody's."""
    there = UpstreamDesk(redis)
    sid = await there.apply("alice", "token")
    await there.logout("alice")
    stopped, old = await there.take("token", lease_ms=1)
    while await there.record("token"):
        lease, taken = await there.take("token")
        await there.gone("token", lease, taken.record)
    await there.unknown("token", stopped, old.record)
    lease, taken = await there.take("token")
    assert await there.gone("token", lease, taken.record) == 1
    assert await ends(there) == [str(sid)]
