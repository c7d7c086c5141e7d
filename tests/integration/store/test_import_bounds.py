"""What one script call may touch stays bounded, whoever an import takes from."""

from __future__ import annotations

from service.domain.limits import PER_IDENTITY
from service.redis import Redis
from service.store.adoptions import Outcome
from tests.integration.store.adoption import IMPORT, adopt, after, binding
from tests.integration.store.upstream_desk import UpstreamDesk


async def test_an_import_takes_no_more_from_others_than_an_identity_may_have(redis: Redis) -> None:
    """What it has may be replaced, and no other added to it."""
    desk = UpstreamDesk(redis)
    await desk.apply("bob", "bobs", "phone")
    many = [binding("alice", f"token-{n}") for n in range(PER_IDENTITY)]
    assert set(await adopt(desk, *many)) == {Outcome.ADOPTED}
    newer = [binding("alice", address, "new", at=await after(desk)) for address in ("bobs", "token-0")]
    assert await adopt(desk, *newer, source=IMPORT) == [Outcome.FULL, Outcome.REPLACED]
    assert (len(await desk.desired("alice")), await desk.desired("bob")) == (PER_IDENTITY, {"bobs"})
