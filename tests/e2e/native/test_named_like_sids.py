"""Identities of the form of a User SID: nobody registers under one, but an upstream or an archive may bring them."""

import pytest

from service.domain.record import Channel
from service.store.adoptions import Source
from tests.e2e.native.callers import Native, problem_of
from tests.integration.store.adoption import binding

NAME = "US" + "a" * 32


@pytest.mark.parametrize("channel", list(Channel))
async def test_what_was_brought_is_logged_out_like_any_other(native: Native, channel: Channel) -> None:
    """Twice, as any logout may be."""
    await native.service.adoptions.adopt(Source.IMPORT, [binding(NAME, "token", channel=channel)])
    shown = await native.bindings(NAME)
    assert [b["address"] for b in shown] == (["token"] if channel is Channel.NOTIFY else [])
    for ended in (1, 0):
        answer = await native.call("POST", "/v1/logouts", json={"identity": NAME})
        assert (answer.status_code, answer.json()) == (200, {"ended": ended})
    assert await native.bindings(NAME) == []


async def test_what_nobody_has_is_taken_for_a_mistake(native: Native) -> None:
    """A User SID in place of an identity would log out nobody."""
    for path, body in (("/v1/logouts", {"identity": NAME}), ("/v1/lookups", {"identities": ["alice", NAME]})):
        answer = await native.call("POST", path, json=body)
        assert (answer.status_code, problem_of(answer)) == (400, "invalid-input")
    assert (await native.register(identity=NAME)).status_code == 400
