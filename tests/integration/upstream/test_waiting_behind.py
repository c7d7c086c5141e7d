"""A removal that waits for the binding in its place does not ask for it all the time."""

from __future__ import annotations

import pytest

from tests.integration.upstream.pair import Pair


async def test_while_that_is_refused_it_is_looked_at_no_more_often(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall refuses the new one, which may last for days."""
    await pair.bind("alice", "token-1", "phone")
    await pair.converge()
    pair.proxy.refuse("Address=token-2", status=403, code=None)
    monkeypatch.setattr("service.usecases.upstream.applying.backoff_ms", lambda _: 60_000)
    await pair.bind("alice", "token-2", "phone")

    async def both_wait() -> bool:
        soon = await pair.service.adoptions.begin() + 50_000
        return [due > soon for _, _, due in await pair.owed()] == [True, True]

    await pair.drain_until(both_wait)
    pair.proxy.calm()
    monkeypatch.setattr("service.usecases.upstream.applying.backoff_ms", lambda _: 20)
    await pair.time_passes()
    await pair.converge()
    assert await pair.owners() == {"token-2": "alice"}


@pytest.mark.usefixtures("quick_backoff")
async def test_what_was_somebody_elses_does_not_wait_for_ever(pair: Pair) -> None:
    """It would reach the device of who has it now."""
    await pair.bind("alice", "token-1", "phone")
    await pair.converge()
    pair.proxy.refuse("Address=token-2", status=403, code=None)
    await pair.bind("bob", "token-2", "phone")

    async def gone() -> bool:
        return not await pair.bindings("alice")

    await pair.drain_until(gone)
