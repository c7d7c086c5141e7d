"""A call that was under way at a cut-over, and lands after the undoing."""

from __future__ import annotations

import asyncio

import pytest

from service.domain.record import Channel
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.moving.switching import cut_over, undo
from service.usecases.upstream.adopting import adopt_identities
from service.usecases.upstream.auditing import audit_step
from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import Fault, Kind

pytestmark = pytest.mark.usefixtures("quick_backoff")

TOKEN = "token-1"


async def shown(pair: Pair, identity: str) -> set[str]:
    [(_, views)] = await look_up(pair.service, [identity])
    return {view.address for view in views}


async def late_call(pair: Pair, *, agreed: bool) -> None:
    """Alice's create is under way at the switch; bob takes her address; it is undone; then her create lands."""
    pair.patient()
    pair.proxy.script("POST", Fault(Kind.LATE))
    await pair.bind("alice", TOKEN, "phone")
    worker = asyncio.create_task(pair.drain_notify())
    await pair.proxy.met(Kind.LATE)
    await cut_over(pair.service, Channel.NOTIFY, agreed=agreed)
    await worker
    await pair.bind("bob", TOKEN, "phone")
    await pair.drain_all()
    await undo(pair.service, Channel.NOTIFY)

    async def bobs() -> bool:
        return await pair.owners() == {TOKEN: "bob"}

    await pair.drain_until(bobs)
    await pair.proxy.release()
    assert await pair.owners() == {TOKEN: "alice"}
    # As if lease and longest request were over.
    await pair.time_passes()
    await pair.converge()


@pytest.mark.parametrize("agreed", [True, False])
async def test_a_call_of_before_takes_nothing_from_whoever_has_the_address_then(pair: Pair, agreed: bool) -> None:
    """All that is wanted here is looked at once more when nothing of before can come any more."""
    await late_call(pair, agreed=agreed)
    assert await pair.owners() == {TOKEN: "bob"}


@pytest.mark.parametrize("agreed", [True, False])
async def test_nor_does_the_audit_give_it_to_the_former_owner(pair: Pair, agreed: bool) -> None:
    """Six hours later."""
    await late_call(pair, agreed=agreed)
    prints, anchor = pair.service.fingerprints, pair.service.section.anchor
    # Ten minutes, and six hours.
    await pair.running.store.command("DEL", anchor + b":v" + prints.address(TOKEN), key=anchor)
    await pair.running.store.command("DEL", anchor + b":audit:turn", anchor + b":audit", key=anchor)
    await audit_step(pair.service, pair.upstream)
    await pair.converge()
    await adopt_identities(pair.service, pair.upstream, ["alice"], await pair.service.adoptions.begin())
    await pair.converge()
    assert (await shown(pair, "alice"), await shown(pair, "bob")) == (set(), {TOKEN})


async def test_what_was_taken_over_meanwhile_and_logged_out_before_its_turn_goes_there(pair: Pair) -> None:
    """Workers take an hour for a million records; whoever had it before the cut-over must not get it back."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    await cut_over(pair.service, Channel.NOTIFY, agreed=True)
    await pair.bind("bob", TOKEN, "phone")
    await pair.converge()
    await undo(pair.service, Channel.NOTIFY)
    await log_out(pair.service, "bob", device_id="phone")
    await pair.time_passes()
    await pair.converge()
    assert await pair.owners() == {}
