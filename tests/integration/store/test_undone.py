"""What a cut-over that is undone leaves owed."""

from __future__ import annotations

import pytest

from service.redis import Redis
from service.store.ledger import Settlement, Verdict
from service.store.switched import SwitchedSection
from service.store.switches import Switches
from tests.integration.store import desk as desks
from tests.integration.store.desk import CHAT, NOTIFY
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


@pytest.fixture
def undone(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> tuple[UpstreamDesk, Switches]:
    """A Service whose bindings may be kept here or there."""
    monkeypatch.setattr(desks, "Section", SwitchedSection)
    there = UpstreamDesk(redis, longest_ms=3000)
    return there, Switches(there.section, external=NOTIFY, events_max=1000)


async def test_a_take_leaves_in_doubt_what_calls_of_before_may_yet_change(
    undone: tuple[UpstreamDesk, Switches],
) -> None:
    """It is no clock that was set back: a lease of before the switch, and its longest request, may last longer."""
    there, switches = undone
    await there.apply("alice", "token")
    await switches.over(NOTIFY, agreed=True, late=20 + 3)
    await switches.back(NOTIFY)
    await switches.take_back(NOTIFY, [there.fingerprint("token")])
    await switches.done(NOTIFY)
    doubt = (await there.known("token")).doubt
    _, taken = await there.take("token", lease_ms=20_000)
    assert taken.record.doubt == doubt > 0


async def test_a_chat_only_registration_after_an_undoing_is_in_no_doubt(undone: tuple[UpstreamDesk, Switches]) -> None:
    """Nothing of it is owed to Notify: nobody would ever end the doubt, nor let its record go."""
    there, switches = undone
    await there.login("zoe", "other")
    await switches.over(NOTIFY, agreed=True, late=60)
    await switches.back(NOTIFY)
    await switches.done(NOTIFY)
    await there.login("alice", "token", "phone", channels=CHAT)
    assert not (await there.known("token")).doubt
    await there.login("alice", "another", "tablet")
    assert (await there.known("another")).doubt
