"""While a cut-over is undone: what was logged out meanwhile is shown to nobody, though the upstream holds it yet."""

from __future__ import annotations

import httpx
import pytest

from service.domain.record import Channel
from service.usecases import chat_bindings
from service.usecases.chat_bindings import Filter
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.moving.importing import import_bindings
from service.usecases.moving.switching import cut_over, undo
from service.usecases.paging import Position
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, TOKEN, bind_chat_of, settings_of
from tests.integration.upstream.pair import Pair, next_second

pytestmark = pytest.mark.usefixtures("quick_backoff")

BOTH = Channel.NOTIFY | Channel.CHAT


async def shown(pair: Pair, identity: str) -> set[str]:
    """The addresses that a lookup shows."""
    [(_, views)] = await look_up(pair.service, [identity])
    return {view.address for view in views}


async def endpoints(pair: Pair, identity: str) -> set[str]:
    """The Chat endpoints that a list shows."""
    page = await chat_bindings.page(pair.service, Filter(identities=(identity,)), Position(), 50)
    return {binding.endpoint for binding in page.items}


async def test_a_lookup_does_not_bring_back_what_was_logged_out(pair: Pair) -> None:
    """The upstream's list is of before the logout, which it has never heard of; in the end it has gone there, too."""
    await pair.bind("alice", "token-1", "phone")
    await pair.bind("alice", "token-2", "tablet")
    await pair.converge()
    await cut_over(pair.service, Channel.NOTIFY, agreed=True)
    await log_out(pair.service, "alice", device_id="phone")
    await pair.converge()
    assert await shown(pair, "alice") == {"token-2"}
    await pair.no_call_is_under_way()
    await pair.service.switches.back(Channel.NOTIFY)
    assert await shown(pair, "alice") == {"token-2"}
    await undo(pair.service, Channel.NOTIFY)
    await pair.converge()
    assert await shown(pair, "alice") == {"token-2"}
    assert await pair.owners() == {"token-2": "alice"}


async def test_a_call_that_was_under_way_at_the_switch_is_ours(pair: Pair) -> None:
    """It takes effect just after it, and is settled nowhere: what logs out here meanwhile goes there all the same."""
    await cut_over(pair.service, Channel.NOTIFY, agreed=True)
    await pair.bind("alice", "token-1", "phone")
    await next_second(pair)
    await pair.create_there("alice", "token-1")
    await log_out(pair.service, "alice", device_id="phone")
    await pair.converge()
    await undo(pair.service, Channel.NOTIFY)
    await pair.time_passes()
    await pair.converge()
    assert await shown(pair, "alice") == set()
    assert await pair.owners() == {}


async def test_even_if_it_takes_effect_after_the_undoing(pair: Pair) -> None:
    """Then nobody lists any more what is to be given up; whoever finds it knows."""
    await cut_over(pair.service, Channel.NOTIFY, agreed=True)
    await pair.bind("alice", "token-1", "phone")
    await log_out(pair.service, "alice", device_id="phone")
    await pair.converge()
    await undo(pair.service, Channel.NOTIFY)
    await next_second(pair)
    await pair.create_there("alice", "token-1")
    assert await import_bindings(pair.service, pair.upstream) == {"removed": 1}
    await pair.converge()
    assert await shown(pair, "alice") == set()
    assert await pair.owners() == {}


async def test_nor_do_lists_of_chat_bindings(both: Pair, environ_there: dict[str, str]) -> None:
    """They show what the upstream shows, without what has gone here; what was imported stays."""
    await bind_chat_of(settings_of(environ_there), "alice", ["e-phone", "e-tablet", "e-web"])
    await both.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await both.bind("alice", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    upstream = both.service.chat_upstream
    assert upstream is not None
    await import_bindings(both.service, upstream)
    await both.converge()
    await cut_over(both.service, BOTH, agreed=True)
    await log_out(both.service, "alice", device_id="phone")
    await both.converge()
    assert await endpoints(both, "alice") == {"e-tablet", "e-web"}
    await both.no_call_is_under_way()
    await both.service.switches.back(BOTH)
    assert await endpoints(both, "alice") == {"e-tablet", "e-web"}
    await undo(both.service, BOTH)
    await both.converge()
    assert await endpoints(both, "alice") == {"e-tablet", "e-web"}


async def test_an_imported_chat_binding_that_was_deleted_stays_so_when_cut_over(
    both: Pair, environ_there: dict[str, str]
) -> None:
    """It goes here with what goes there."""
    [sid, _] = await bind_chat_of(settings_of(environ_there), "alice", ["e-web", "e-other"])
    upstream = both.service.chat_upstream
    assert upstream is not None
    await import_bindings(both.service, upstream)
    await both.converge()
    assert await chat_bindings.delete(both.service, sid)
    await both.converge()
    await cut_over(both.service, BOTH, agreed=True)
    assert await endpoints(both, "alice") == {"e-other"}


async def test_nor_is_one_shown_that_its_app_has_deleted_at_the_upstream(
    both: Pair, environ_there: dict[str, str], upstream_url: str
) -> None:
    """No logout here tells of it, nor any registration: what is there just before the switch counts."""
    [sid, _] = await bind_chat_of(settings_of(environ_there), "alice", ["e-web", "e-other"])
    upstream = both.service.chat_upstream
    assert upstream is not None
    await import_bindings(both.service, upstream)
    await both.converge()
    async with httpx.AsyncClient(base_url=upstream_url, auth=(ACCOUNT, TOKEN)) as client:
        (await client.delete(f"/v2/Services/{CHAT}/Bindings/{sid}")).raise_for_status()
    assert await endpoints(both, "alice") == {"e-other"}
    await cut_over(both.service, BOTH, agreed=True)
    assert await endpoints(both, "alice") == {"e-other"}
    assert await chat_bindings.fetch(both.service, sid) is None
