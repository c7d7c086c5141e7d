"""What a cut-over that is undone leaves owed."""

from __future__ import annotations

import pytest

from service.redis import Redis
from service.store.ledger import Settlement, Verdict
from service.store.switched import SwitchedSection
from service.store.switches import Switches
from tests.integration.store import desk as desks
from tests.integration.store.desk import NOTIFY
from tests.integration.store.upstream_desk import UpstreamDesk


async def test_a_cut_over_that_ended_early_and_is_undone_leaves_nobody_in_doubt_for_ever(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In doubt at the switch, and settled here before the cut-over got to it: it is owed again after the undoing."""
    monkeypatch.setattr(desks, "Section", SwitchedSection)
    there = UpstreamDesk(redis, longest_ms=3000)
    switches = Switches(there.section, external=NOTIFY, events_max=1000)
    await there.login("alice", "token")
    lease, taken = await there.take("token")
    await there.unknown("token", lease, taken.record)
    assert (await there.known("token")).doubt

    await switches.over(NOTIFY, agreed=False)
    work = await there.ledgers.take(there.lane("token"), 10, 5000)
    assert work is not None
    [record] = work.records
    held = [Settlement(record.fingerprint, record.version, Verdict.HELD)]
    assert await there.ledgers.settle(there.lane("token"), work.token, held) == 1
    assert await there.depth() == 0

    await switches.back(NOTIFY)
    await switches.take_back(NOTIFY, [there.fingerprint("token")])
    await switches.done(NOTIFY)

    assert (await there.known("token")).doubt
    assert await there.depth() == 1
