"""Turns at a walk, as processes share them."""

from __future__ import annotations

from service.redis import Redis
from service.store.walks import Turns, Walk
from tests.integration.store.upstream_desk import UpstreamDesk


async def test_a_step_of_a_walk_that_comes_late_does_not_move_it_back(redis: Redis) -> None:
    """Another had the next turn meanwhile, and went on."""
    desk = UpstreamDesk(redis)
    walk = Turns(desk.section, Walk.REGISTRATIONS)
    first = await walk.claim(60_000)
    assert first == b""
    await desk.redis.command("DEL", desk.section.anchor + b":audit:turn", key=desk.section.anchor)
    second = await walk.claim(60_000)
    assert second == b""
    await walk.rest(b"on", 60_000, claimed=second)
    await walk.rest(b"back", 60_000, claimed=first)
    assert await desk.redis.command("GET", desk.section.anchor + b":audit", key=desk.section.anchor) == b"on"
