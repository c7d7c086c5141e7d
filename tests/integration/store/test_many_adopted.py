"""More bindings of an address, or of an identity, at an upstream than are kept or may be registered here."""

from __future__ import annotations

import pytest

from service.domain.errors import CapReached
from service.domain.limits import CAP
from service.redis import Redis
from service.store.adoptions import Outcome
from service.store.registrations import Registrations
from tests.integration.store.adoption import adopt, binding
from tests.integration.store.desk import NOTIFY, TOKEN_SECONDS
from tests.integration.store.upstream_desk import UpstreamDesk


@pytest.fixture
async def desk(redis: Redis) -> UpstreamDesk:
    return UpstreamDesk(redis)


async def test_what_is_found_beyond_the_cap_is_shown_and_nothing_added_to_it(desk: UpstreamDesk) -> None:
    """A new registration is refused; what is there may be registered by its app."""
    found = [binding("alice", f"token-{n}") for n in range(CAP + 5)]
    assert await adopt(desk, *found) == [Outcome.ADOPTED] * len(found)
    with pytest.raises(CapReached):
        await desk.login("alice", "one-more")
    await desk.login("alice", "token-0", "phone")
    assert len(await desk.desired("alice")) == CAP + 5


async def test_where_the_oldest_make_room_the_cap_holds_again(desk: UpstreamDesk) -> None:
    """As many go as bring the identity down to it."""
    desk.registrations = Registrations(
        desk.section, name="main", cap=CAP, replace_oldest=True, token_seconds=TOKEN_SECONDS, events_max=1000,
        external=NOTIFY,
    )  # fmt: skip
    await adopt(desk, *(binding("alice", f"token-{n}") for n in range(CAP + 5)))
    await desk.login("alice", "one-more")
    desired = await desk.desired("alice")
    assert len(desired) == CAP
    assert "one-more" in desired


async def test_a_sid_that_is_no_longer_kept_leads_nowhere(desk: UpstreamDesk) -> None:
    """Of more than sixteen traces the oldest but the first go, whoever writes the record."""
    sids = [await desk.apply("alice", "token")]
    await desk.logout("alice")
    for n in range(15):
        found = binding("alice", "token", f"t{n}")
        assert await adopt(desk, found) == [Outcome.REMOVED]
        sids.append(found.sid)
    await desk.take("token")
    for tag in ("one", "two", "three"):
        await desk.login("alice", "token", tags=(tag,))
    known = {trace.sid for trace in (await desk.known("token")).traces if trace.sid}
    assert 0 < len(known) < len(sids)
    anchor = desk.section.anchor
    for sid in sids:
        leads = await desk.redis.command("HEXISTS", anchor + b":a" + sid.raw[:2], sid.raw, key=anchor)
        assert bool(leads) == (sid in known)
