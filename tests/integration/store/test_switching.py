"""What a cut-over makes of records, one by one, and what its undoing owes to the upstreams again."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.addresses import BindingType
from service.domain.events import EventType
from service.domain.record import Channel, Record, State
from service.redis import Redis
from service.store.adoptions import Outcome
from service.store.ledger import Settlement, Verdict
from service.store.switched import SwitchedSection
from service.store.switches import Switches
from service.store.upstream_ledger import Observation
from tests.integration.store import desk as desks
from tests.integration.store.adoption import IMPORT, adopt, binding
from tests.integration.store.desk import BOTH, CHAT, NOTIFY
from tests.integration.store.upstream_desk import UpstreamDesk


class Switched(UpstreamDesk):
    """A Service with upstreams for both channels that may be cut over."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, longest_ms=60_000, external=BOTH)
        self.switches = Switches(self.section, external=BOTH, events_max=1000)

    def chat_key(self, identity: str, endpoint: str) -> bytes:
        return self.section.fingerprints.chat(self.owner(identity), endpoint, BindingType.FCM.code)

    async def over(self, *addresses: str, chats: tuple[bytes, ...] = ()) -> None:
        """Cut over, these records too."""
        await self.switches.over(BOTH, agreed=True)
        await self.switches.settle_here(NOTIFY, [self.fingerprint(address) for address in addresses])
        await self.switches.settle_here(CHAT, chats)

    async def back(self) -> None:
        """Undone, but for the records."""
        await self.switches.back(BOTH)

    async def chat_record(self, identity: str) -> Record:
        [[record]] = [found or [] for found in await self.reading.chat_bindings_of([self.owner(identity)])]
        return record

    async def chat_due(self, identity: str) -> bool:
        return await self.ledgers.take_chat(self.chat_lane(identity), 10, 30_000) is not None


@pytest.fixture
async def there(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Switched:
    monkeypatch.setattr(desks, "Section", SwitchedSection)
    return Switched(redis)


async def refuse(there: Switched, address: str) -> None:
    """The upstream does so for good."""
    lease, taken = await there.take(address)
    dead = Observation(taken.record, Verdict.DEAD, reason="no")
    assert await there.upstream.settle(there.lane(address), lease, [dead]) == 1


async def refuse_chat(there: Switched, identity: str) -> None:
    """All that is due of it."""
    lane = there.chat_lane(identity)
    taken = await there.ledgers.take_chat(lane, 10, 30_000)
    assert taken is not None
    token, [work] = taken
    dead = [Settlement(r.fingerprint, r.version, Verdict.DEAD, reason="no") for r in work.records]
    assert await there.ledgers.settle_chat(lane, token, work.owner, dead, external=True)


async def test_what_an_upstream_has_refused_is_wanted_here(there: Switched) -> None:
    """Registrations and their Chat bindings, and removals: no letter is left, and it is told."""
    await there.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await refuse(there, "token")
    await refuse_chat(there, "alice")
    await adopt(there, binding("bob", "e-bob", channel=CHAT), source=IMPORT)
    await there.apply("bob", "gone")
    await there.logout("bob")
    await refuse(there, "gone")
    await refuse_chat(there, "bob")
    assert len(await there.ledgers.dead_letters()) == 4
    told = len(await there.events())
    await there.over("token", "gone", chats=(there.chat_key("alice", "e"), there.chat_key("bob", "e-bob")))
    assert await there.ledgers.dead_letters() == []
    assert [(e.type, e.channels) for e in (await there.events())[told:]] == [
        (EventType.REARMED, ("notify",)),
        (EventType.REARMED, ("notify",)),
        (EventType.REARMED, ("chat",)),
        (EventType.REARMED, ("chat",)),
    ]
    record = await there.known("token")
    assert (await there.chat_record("alice")).chat == State.PENDING
    assert (record.notify, record.chat, record.attempts) == (State.PENDING, State.PENDING, 0)
    await there.drain()
    assert (await there.applied("alice"), await there.chats("alice")) == ({"token"}, {"e"})
    assert await there.record("gone") is None
    assert await there.depth() == 0


async def test_what_an_upstream_was_asked_for_is_owed_here_at_once(there: Switched) -> None:
    """Nobody waits for the leases of then."""
    await there.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await there.take("token")
    assert await there.ledgers.take_chat(there.chat_lane("alice"), 10, 30_000)
    await there.apply("bob", "unknown")
    await adopt(there, binding("bob", "unknown", "theirs"))
    await there.take("unknown")
    await there.over("token", "unknown", chats=(there.chat_key("alice", "e"),))
    await there.drain()
    assert (await there.applied("alice"), await there.chats("alice")) == ({"token"}, {"e"})
    assert (await there.known("unknown")).notify == State.APPLIED


async def test_what_was_in_doubt_there_is_certain_here(there: Switched) -> None:
    """What is shown keeps its SID, and of what else may be there nothing is kept: no trace, no record, no index."""
    sid = await there.apply("alice", "token")
    found = binding("alice", "token", "theirs")
    await adopt(there, found)
    await there.login("bob", "other")
    lease, taken = await there.take("other")
    await there.unknown("other", lease, taken.record)
    await there.logout("bob")
    lease, taken = await there.take("other")
    await there.gone("other", lease, taken.record)
    removed = await there.known("other")
    assert (removed.notify, removed.doubt > 0) == (State.NONE, True)
    assert (await there.known("token")).notify == State.UNKNOWN
    await there.login("carol", "sent")
    lease, taken = await there.take("sent")
    await there.unknown("sent", lease, taken.record)
    assert (await there.known("sent")).traces
    await there.over("token", "other", "sent")
    assert not (await there.known("sent")).traces
    record = await there.known("token")
    assert (record.doubt, [trace.sid for trace in record.traces]) == (0, [sid])
    assert await there.record("other") is None
    await there.drain()
    assert (await there.known("token")).visible_sid(NOTIFY) == sid


async def test_what_is_on_its_way_out_leads_nowhere_any_more(there: Switched) -> None:
    """An upstream's SID of it is nobody's here."""
    await there.apply("alice", "token")
    await there.logout("alice")
    await there.over("token")
    assert not (await there.known("token")).traces
    keys: Any = await there.redis.command("KEYS", f"{{{there.sid}}}:a*", key=there.section.anchor)
    assert keys == []


async def test_an_undoing_owes_every_registration_to_its_upstream(there: Switched) -> None:
    """In doubt, and whatever may have been sent is looked for; but under no lease that is still held."""
    await there.over()
    await there.login("alice", "token", settle=True)
    await there.login("bob", "leased")
    assert await there.ledgers.take(there.lane("leased"), 10, 30_000)
    await there.back()
    await there.switches.take_back(NOTIFY, [there.fingerprint("token"), there.fingerprint("leased")])
    record = await there.known("token")
    assert record.doubt > 0
    assert [(trace.sid, trace.attributes.identity) for trace in record.traces] == [(None, "alice")]
    assert await there.applied("alice") == {"token"}
    await there.pass_by(record.doubt)
    leases = [await there.upstream.take(there.lane(address), 10, 30_000) for address in ("token", "leased")]
    assert [taken.record.address for lease in leases if lease for taken in lease.taken] == ["token"]


async def test_an_undoing_owes_the_chat_bindings_of_registrations(there: Switched) -> None:
    """They are to be reconciled; those of their own, that are only kept, are not."""
    await adopt(there, binding("bob", "e-bob", channel=CHAT), source=IMPORT)
    await there.over()
    await there.login("alice", "token", "phone", channels=BOTH, endpoint="e", settle=True)
    await there.drain()
    await there.back()
    keys = [there.chat_key("alice", "e"), there.chat_key("bob", "e-bob")]
    await there.switches.take_back(CHAT, keys)
    assert await there.chats("alice") == {"e"}
    assert ((await there.chat_record("alice")).chat, (await there.chat_record("bob")).chat) == (
        State.UNKNOWN, State.APPLIED,
    )  # fmt: skip
    assert await there.chat_due("alice")
    assert not await there.chat_due("bob")


async def test_an_undoing_owes_that_goes_what_was_given_up_here(there: Switched) -> None:
    """Whether nobody has the address now or somebody else: its SID there is known, and known once."""
    await there.over()
    await there.login("bob", "taken", settle=True)
    await there.back()
    gone = [binding("alice", address) for address in ("free", "taken")]
    await there.switches.take_back(NOTIFY, [], gone)
    free, taken = [await there.known(address) for address in ("free", "taken")]
    assert (free.channels, free.notify, free.owner) == (0, State.PENDING, there.owner("alice"))
    assert [trace.sid for trace in free.traces] == [gone[0].sid]
    assert [trace.sid for trace in taken.traces] == [gone[1].sid]
    assert all((free.doubt, taken.doubt))
    assert await there.due("free") or there.lane("free") == there.lane("taken")
    assert await there.depth() == 2
    before = taken.raw
    await there.switches.take_back(NOTIFY, [], gone[1:])
    assert (await there.known("taken")).raw == before
    assert await there.desired("alice") == set()


async def test_until_no_call_of_before_can_come_what_is_owed_stays_in_doubt(there: Switched) -> None:
    """As long as the switch was told; of records that have gone meanwhile nothing is owed."""
    await there.switches.over(BOTH, agreed=True, late=60)
    now = await there.now()
    await there.login("alice", "token", settle=True)
    await there.back()
    await there.switches.take_back(NOTIFY, [there.fingerprint("token"), there.fingerprint("gone")])
    await there.switches.take_back(CHAT, [there.chat_key("alice", "gone")])
    assert (await there.known("token")).doubt >= (now + 60) * 1000
    assert await there.depth() == 1


async def test_what_an_upstream_holds_of_before_a_switch_and_nobody_knows_was_given_up(there: Switched) -> None:
    """While it is undone; of calls that were under way then, as long as they may come, though it is done by then."""

    async def found(channel: Channel, *, seconds: int) -> list[Outcome]:
        """One that was made so long after the switch."""
        made = binding("alice", f"{channel}-{number}-{seconds}", channel=channel, at=at + seconds)
        return await adopt(there, made)

    number = 0
    for number, agreed in enumerate((False, True)):
        await there.switches.over(BOTH, agreed=agreed, late=60)
        at = await there.now()
        known = [Outcome.REMOVED] if agreed else [Outcome.ADOPTED]
        await there.back()
        assert await found(NOTIFY, seconds=30) == await found(CHAT, seconds=-1) == known
        assert await found(NOTIFY, seconds=90) == await found(CHAT, seconds=30) == [Outcome.ADOPTED]
        await there.switches.done(BOTH)
        number += 2
        assert await found(NOTIFY, seconds=30) == known
        assert await found(CHAT, seconds=-1) == [Outcome.ADOPTED]


async def test_a_switch_that_is_asked_for_twice_is_made_once(there: Switched) -> None:
    """Each channel's by itself; one that is made anew while it is undone is undone no more."""
    assert (await there.switches.over(NOTIFY, agreed=True)).cut_over == NOTIFY
    for _ in range(2):
        assert (await there.switches.over(BOTH, agreed=True)).cut_over == BOTH
    for _ in range(2):
        switch = await there.switches.back(NOTIFY)
        assert (switch.cut_over, set(switch.taken_back)) == (CHAT, {NOTIFY})
    switch = await there.switches.over(NOTIFY, agreed=True)
    assert (switch.cut_over, switch.taken_back) == (BOTH, {})
    assert (await there.switches.done(NOTIFY)).cut_over == BOTH
    assert set((await there.switches.back(BOTH)).taken_back) == {NOTIFY, CHAT}
    assert set((await there.switches.done(CHAT)).taken_back) == {NOTIFY}
    for _ in range(2):
        switch = await there.switches.done(BOTH)
        assert (switch.cut_over, switch.taken_back) == (Channel(0), {})
