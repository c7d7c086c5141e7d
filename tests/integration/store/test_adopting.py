"""Notify bindings that were found at an upstream, or in a file, become records: each rule of who wins."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.addresses import BindingType
from service.domain.errors import StoreFull
from service.domain.events import EventType, Reason
from service.domain.record import Attributes, State
from service.domain.sids import BindingSid
from service.domain.upstream import identities
from service.redis import Redis, connect
from service.store.adoptions import Outcome
from service.store.ledger import Verdict
from service.store.upstream_ledger import Observation
from tests.integration.store.adoption import AUDIT, IMPORT, LONG_AGO, adopt, after, binding
from tests.integration.store.desk import NOTIFY
from tests.integration.store.upstream_desk import UpstreamDesk
from tests.servers.valkey import ValkeyServer


@pytest.fixture
async def desk(redis: Redis) -> UpstreamDesk:
    return UpstreamDesk(redis)


async def test_a_binding_that_was_never_registered_is_shown_under_its_sid(desk: UpstreamDesk) -> None:
    """Nothing is owed for it; its SID leads to it; an event says so; found again, it is known."""
    found = binding("alice", "token", "t")
    assert await adopt(desk, found) == [Outcome.ADOPTED]
    record = await desk.known("token")
    visible = record.visible(NOTIFY)
    assert visible is not None
    assert (visible.sid, visible.attributes, visible.created, visible.updated) == (
        found.sid, Attributes("alice", ("t",)), LONG_AGO, LONG_AGO,
    )  # fmt: skip
    assert (record.extras.device_id, await desk.depth()) == (None, 0)
    assert await desk.desired("alice") == await desk.applied("alice") == {"token"}
    located = await desk.reading.binding(found.sid)
    assert located is not None
    assert located.address == "token"
    [event] = await desk.events()
    assert (event.type, event.binding_sid, event.channels) == (EventType.ADOPTED, str(found.sid), ("notify",))
    assert await adopt(desk, found) == [Outcome.SAME]
    assert (await desk.known("token")).raw == record.raw
    assert await desk.delete(found.sid)


async def test_a_dry_run_changes_nothing(desk: UpstreamDesk) -> None:
    """It answers what would become of each, one counted upon the other."""
    twice = binding("alice", "token")
    assert await adopt(desk, twice, twice, source=IMPORT, dry=True) == [Outcome.ADOPTED, Outcome.SAME]
    assert await desk.record("token") is None
    assert await desk.events() == []


async def test_what_an_app_registers_takes_over_what_was_adopted(desk: UpstreamDesk) -> None:
    """The same identity's needs no new binding there; another's replaces it, and the former one's is known of."""
    found = binding("alice", "token")
    await adopt(desk, found)
    await desk.login("alice", "token", "phone")
    _, taken = await desk.take("token")
    assert [(t.sid, t.attributes.identity) for t in taken.record.traces] == [(found.sid, "alice")]
    await desk.login("bob", "token", "phone")
    assert await desk.desired("alice") == set()
    assert identities(await desk.known("token")) == ["bob", "alice"]


async def test_what_was_logged_out_comes_back_only_to_be_deleted(desk: UpstreamDesk) -> None:
    """Row 22: a logout of its identity covers it, seen here or not; so does one of its address."""
    await desk.logout("alice")
    await desk.logout("bob", address="token-b")
    found = binding("alice", "token-a"), binding("bob", "token-b"), binding("bob", "token-c")
    assert await adopt(desk, *found) == [Outcome.REMOVED, Outcome.REMOVED, Outcome.ADOPTED]
    assert await desk.desired("alice") == set()
    assert await desk.desired("bob") == {"token-c"}
    _, taken = await desk.take("token-a")
    assert (taken.record.channels, [t.sid for t in taken.record.traces]) == (0, [found[0].sid])
    events = [(event.type, event.reason) for event in await desk.events()]
    assert (EventType.REMOVED, Reason.LOGOUT) in events


async def test_what_was_made_after_a_logout_is_no_part_of_it(desk: UpstreamDesk) -> None:
    """By the binding's own time; messaging outlives the logout of its identity (contract 7)."""
    await desk.logout("alice")
    young = binding("alice", "token", at=await after(desk))
    number = binding("alice", "+15005550006", kind=BindingType.SMS)
    assert await adopt(desk, young, number) == [Outcome.ADOPTED, Outcome.ADOPTED]


async def test_a_list_from_before_a_takeover_and_a_logout_shows_nothing_any_more(desk: UpstreamDesk) -> None:
    """Row 21: bob took alice's address and logged out, all confirmed, while her list was on its way."""
    began = await desk.adoptions.begin()
    await desk.apply("bob", "token", "phone")
    await desk.logout("bob", device="phone")
    lease, taken = await desk.take("token")
    assert await desk.gone("token", lease, taken.record) == 1
    assert await desk.record("token") is None
    ahead = binding("alice", "token", at=await after(desk) + 300)
    assert await adopt(desk, ahead, began=began) == [Outcome.REMOVED]
    assert await desk.desired("alice") == set()


async def test_what_a_list_from_before_a_removal_shows_is_in_doubt(desk: UpstreamDesk) -> None:
    """It may have been deleted since: who logs in again as then is not taken for applied under it."""
    began = await desk.adoptions.begin()
    sid = await desk.apply("alice", "token", "phone")
    await desk.logout("alice", device="phone")
    lease, taken = await desk.take("token")
    assert await desk.gone("token", lease, taken.record) == 1
    assert await adopt(desk, binding("alice", "token", sid=sid), began=began) == [Outcome.REMOVED]
    await desk.login("alice", "token", "phone")
    _, taken = await desk.take("token")
    assert taken.record.doubt


async def test_a_takeover_that_the_upstream_never_heard_of_counts(desk: UpstreamDesk) -> None:
    """In an outage bob took alice's address and logged out; her binding there is older than that."""
    await desk.login("bob", "token", "phone")
    await desk.logout("bob", device="phone")
    assert await desk.record("token") is None
    assert await adopt(desk, binding("alice", "token")) == [Outcome.REMOVED]
    assert await desk.desired("alice") == set()


async def test_what_comes_to_an_address_after_its_departure_is_adopted(desk: UpstreamDesk) -> None:
    """It was made, and listed, later."""
    await desk.apply("bob", "token", "phone")
    await desk.logout("bob", device="phone")
    lease, taken = await desk.take("token")
    await desk.gone("token", lease, taken.record)
    await desk.pass_by(await desk.adoptions.begin())
    began = await desk.adoptions.begin()
    assert await adopt(desk, binding("alice", "token", at=await after(desk)), began=began) == [Outcome.ADOPTED]


async def test_a_list_that_is_too_old_tells_nothing(desk: UpstreamDesk) -> None:
    """Nor does one from the future, as it looks after the store's clock was set back."""
    now = await desk.adoptions.begin()
    for began in (now - 61_000, now + 60_000):
        assert await adopt(desk, binding("alice", "token"), began=began) == [Outcome.STALE]
    assert await desk.record("token") is None


async def test_a_registration_of_anothers_address_stands(desk: UpstreamDesk) -> None:
    """Alice's list shows what bob has registered: his, whatever her binding's time."""
    await desk.login("bob", "token", "phone")
    found = binding("alice", "token", at=await after(desk))
    assert await adopt(desk, found, source=AUDIT) == [Outcome.OURS]
    assert (await desk.desired("alice"), await desk.desired("bob")) == (set(), {"token"})


async def test_what_is_on_its_way_out_takes_an_unknown_sid_along(desk: UpstreamDesk) -> None:
    """It was made there past us before the logout: the worker deletes both."""
    ours = await desk.apply("alice", "token", "phone")
    await desk.logout("alice", device="phone")
    found = binding("alice", "token")
    assert await adopt(desk, found) == [Outcome.REMOVED]
    _, taken = await desk.take("token")
    assert {t.sid for t in taken.record.traces} == {ours, found.sid}


async def test_a_binding_that_was_replaced_past_us_is_looked_into(desk: UpstreamDesk) -> None:
    """Its owner's list shows another SID than is known: listed anew, unless it was applied since the list began."""
    began = await desk.adoptions.begin()
    await desk.apply("alice", "token", "phone")
    assert await adopt(desk, binding("alice", "token", "theirs"), began=began) == [Outcome.OURS]
    assert await desk.depth() == 0
    assert await adopt(desk, binding("alice", "token", "theirs")) == [Outcome.OURS]
    record = await desk.known("token")
    assert (record.notify, record.doubt > 0) == (State.UNKNOWN, True)
    assert await desk.applied("alice") == {"token"}


async def test_what_its_new_owner_was_refused_is_deleted_of_the_former_one(desk: UpstreamDesk) -> None:
    """Bob's registration of the address was refused for good: alice's binding there is hers no more."""
    await desk.login("bob", "token", "phone")
    lease, taken = await desk.take("token")
    dead = Observation(taken.record, Verdict.DEAD, reason="400/20001 no")
    await desk.upstream.settle(desk.lane("token"), lease, [dead])
    assert await adopt(desk, binding("alice", "token")) == [Outcome.OURS]
    _, taken = await desk.take("token")
    assert taken.record.doubt > 0
    assert identities(taken.record) == ["bob", "alice"]


async def test_an_import_makes_the_newer_one_win(desk: UpstreamDesk) -> None:
    """Against the same identity's registration, which keeps its device, and against another's, which loses it."""
    await desk.apply("alice", "token", "phone")
    old, new = binding("alice", "token", "old"), binding("alice", "token", "new", at=await after(desk))
    assert await adopt(desk, old, source=IMPORT, dry=True) == [Outcome.OURS]
    assert await adopt(desk, new, source=IMPORT) == [Outcome.REPLACED]
    record = await desk.known("token")
    assert (record.attributes.tags, record.extras.device_id, record.notify) == (("new",), "phone", State.PENDING)
    assert record.traces[0].sid == new.sid
    await desk.pass_by(record.doubt)
    lease, taken = await desk.take("token")
    assert await desk.held("token", lease, taken.record, new.sid) == 1
    assert await adopt(desk, binding("bob", "token"), source=IMPORT) == [Outcome.OURS]
    bobs = binding("bob", "token", at=await after(desk) + 1)
    assert await adopt(desk, bobs, source=IMPORT) == [Outcome.REPLACED]
    assert (await desk.desired("alice"), await desk.desired("bob")) == (set(), {"token"})
    assert (await desk.known("token")).extras.device_id is None
    event = (await desk.events())[-1]
    assert (event.type, event.other_user_sid) == (EventType.ADOPTED, f"US{desk.owner('alice').hex()}")


async def test_an_import_gives_no_address_back_for_a_call_of_ours_that_was_late(desk: UpstreamDesk) -> None:
    """It has put the address there as the former owner's after it was taken over: newer, and nobody's wish."""
    await desk.login("alice", "token", "phone")
    lease, taken = await desk.take("token")
    await desk.login("bob", "token", "phone")
    late = binding("alice", "token", at=await after(desk) + 1)
    assert await adopt(desk, late, source=IMPORT) == [Outcome.OURS]
    await desk.unknown("token", lease, taken.record)
    assert await adopt(desk, late, source=IMPORT) == [Outcome.OURS]
    assert (await desk.desired("alice"), await desk.desired("bob")) == (set(), {"token"})


async def test_an_import_takes_nothing_that_is_in_doubt(desk: UpstreamDesk) -> None:
    """Its newer tags may be of a call of ours that was late; what is there is looked at first, by a worker."""
    await desk.login("alice", "token", "phone")
    await desk.take("token")
    late = binding("alice", "token", "late", at=await after(desk) + 1)
    assert await adopt(desk, late, source=IMPORT) == [Outcome.OURS]
    await desk.logout("alice", device="phone")
    assert await adopt(desk, late, source=IMPORT) == [Outcome.OURS]
    assert await desk.desired("alice") == set()


async def test_what_an_app_has_registered_again_since_stays(desk: UpstreamDesk) -> None:
    """Newer by an app's start that changed nothing, too: to the second, where there is an upstream to compare with."""
    await desk.apply("alice", "token", "phone")
    bobs = binding("bob", "token", at=await after(desk))
    await desk.pass_by((bobs.updated + 1) * 1000)
    await desk.login("alice", "token", "phone")
    assert await adopt(desk, bobs, source=IMPORT) == [Outcome.OURS]
    assert await desk.desired("alice") == {"token"}


async def test_an_import_where_this_store_is_the_backend(alone: UpstreamDesk) -> None:
    """It is applied at once under the SID that it had; done again it changes nothing; what was logged out stays so."""
    found = binding("alice", "token", "t")
    assert await adopt(alone, found, source=IMPORT) == [Outcome.ADOPTED]
    assert await adopt(alone, found, source=IMPORT) == [Outcome.SAME]
    located = await alone.reading.binding(found.sid)
    assert located is not None
    assert located.visible_sid(NOTIFY) == found.sid
    newer = binding("alice", "token", "new", at=await after(alone))
    assert await adopt(alone, newer, source=IMPORT) == [Outcome.REPLACED]
    assert await alone.reading.binding(found.sid) is None
    assert (await alone.known("token")).notify == State.APPLIED
    await alone.logout("alice")
    await alone.drain()
    assert await adopt(alone, found, source=IMPORT) == [Outcome.ENDED]
    assert await alone.record("token") is None
    keys: Any = await alone.redis.command("KEYS", f"{{{alone.sid}}}:a*", key=alone.section.anchor)
    assert keys == []


async def test_our_own_sids_come_back_as_they_were(alone: UpstreamDesk) -> None:
    """An export's SIDs need no index: they lead to their records by themselves, and layout 1 is enough."""
    sid = BindingSid(alone.fingerprint("token"), b"nnnn")
    assert await adopt(alone, binding("alice", "token", sid=sid), source=IMPORT) == [Outcome.ADOPTED]
    record = await alone.known("token")
    assert (record.visible_sid(NOTIFY), record.layout) == (sid, 1)


async def test_a_removal_that_was_given_up_keeps_out_nobody_who_came_later(desk: UpstreamDesk) -> None:
    """What it was about stays removed; what is bound there since, past us, is adopted as ever."""
    sid = await desk.apply("alice", "token")
    await desk.logout("alice", device="none")
    await desk.logout("alice", address="token")
    lease, taken = await desk.take("token")
    await desk.upstream.settle(desk.lane("token"), lease, [Observation(taken.record, Verdict.DEAD, reason="x")])
    [letter] = await desk.ledgers.dead_letters()
    await desk.ledgers.drop(letter)
    assert await adopt(desk, binding("alice", "token", sid=sid), source=AUDIT) == [Outcome.SAME]
    bobs = binding("bob", "token", at=await after(desk) + 100)
    assert await adopt(desk, bobs, source=AUDIT) == [Outcome.REPLACED]
    assert await desk.desired("bob") == {"token"}


async def test_what_is_adopted_is_refused_by_a_full_store() -> None:
    """Removals go on there; what takes memory does not."""
    with ValkeyServer() as server:
        redis = connect(server.url, timeout=5)
        desk = UpstreamDesk(redis)
        await desk.login("alice", "token")
        server.call("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(StoreFull):
            await adopt(desk, binding("bob", "another"), source=IMPORT)
        await redis.aclose()
