"""What the upstream holds, and nobody asks for, is seen by the audit's walks through it."""

from __future__ import annotations

import pytest

from service.backends.twilio import NotifyBindings, OutcomeUnknown, Refused
from service.bootstrap import runtime
from service.settings import load
from service.store.adoptions import Outcome, Source
from service.store.walks import Turns
from service.usecases import notify_bindings
from service.usecases.ending import log_out
from service.usecases.notify_bindings import Filter
from service.usecases.paging import Position
from service.usecases.upstream.adopting import adopt
from service.usecases.upstream.walking import chat_walk_step, walk_step
from tests.integration.upstream.chat import BOTH, There, settings_here
from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer

TOKEN = "fcm-token-of-a-device"


async def walked(pair: Pair) -> int | None:
    """A step, as if the last one were long ago."""
    await due(pair, b":walk:turn")
    return await walk_step(pair.service, pair.upstream)


async def due(pair: Pair, turn: bytes) -> None:
    """It is time for a step."""
    anchor = pair.service.section.anchor
    await pair.running.store.command("DEL", anchor + turn, key=anchor)


@pytest.fixture
def small_pages(pair: Pair) -> None:
    """The upstream's pages hold two bindings."""
    bindings: NotifyBindings = pair.upstream.bindings
    bindings._start = (("PageSize", "2"),)


@pytest.mark.usefixtures("small_pages")
async def test_everything_there_is_adopted_page_by_page(pair: Pair) -> None:
    """Lists of the whole Service are complete after the first walk; what is registered here is left as it is."""
    for n in range(4):
        await pair.create_there(f"user-{n}", f"token-{n}")
    await pair.bind("alice", "token-of-alice", "phone", tags=("ours",))
    await pair.converge()
    assert sum([await walked(pair) or 0 for _ in range(3)]) == 4
    assert await walk_step(pair.service, pair.upstream) is None
    page = await notify_bindings.page(pair.service, Filter(), Position(), 50)
    assert {(b.identity, b.address) for b in page.items} == {
        *((f"user-{n}", f"token-{n}") for n in range(4)),
        ("alice", "token-of-alice"),
    }
    assert {b.sid for b in page.items} == {binding["sid"] for binding in await pair.bindings()}
    assert (await pair.depth(), await walked(pair)) == (0, 0)


async def test_what_was_logged_out_is_deleted_wherever_it_turns_up(pair: Pair) -> None:
    """Though nobody ever asked for the identity, nor listed it after its logout."""
    await pair.create_there("alice", "token")
    await log_out(pair.service, "alice")
    assert await walked(pair) == 1
    await pair.converge()
    assert await pair.owners() == {}


@pytest.mark.parametrize("tag", [None, "blue"])
async def test_a_list_from_before_a_logout_makes_nobody_believe_that_it_is_still_there(
    pair: Pair, tag: str | None
) -> None:
    """What was listed has gone since; who logs in again as then is applied there all the same."""
    await pair.bind("alice", TOKEN, "phone", tags=("red",))
    await pair.converge()
    began = await pair.service.adoptions.begin()
    page = await pair.upstream.bindings.page()
    if tag is not None:
        await pair.bind("alice", TOKEN, "phone", tags=(tag,))
        await pair.converge()
    await log_out(pair.service, "alice", device_id="phone")
    if tag is None:
        await pair.converge()
    assert await adopt(pair.service, Source.AUDIT, page.bindings, began) == [Outcome.REMOVED]
    await pair.bind("alice", TOKEN, "phone", tags=("red",))
    await pair.converge()
    [binding] = await pair.bindings()
    assert (binding["address"], binding["tags"]) == (TOKEN, ["red"])
    assert binding["sid"] != page.bindings[0].sid


@pytest.mark.usefixtures("small_pages")
async def test_a_way_on_that_leads_nowhere_is_forgotten(pair: Pair) -> None:
    """The upstream refuses it: the walk begins again."""
    turns: Turns = pair.upstream.walk
    await turns.rest(b"PageSize=2&PageToken=nonsense", 1, claimed=b"")
    with pytest.raises(Refused):
        await walked(pair)
    await pair.create_there("alice", "token")
    assert await walked(pair) == 1


async def chat_walked(chat: Pair) -> int | None:
    """A step, as if the last one were long ago."""
    assert chat.service.chat_upstream is not None
    await due(chat, b":chat-walk:turn")
    return await chat_walk_step(chat.service, chat.service.chat_upstream)


async def test_a_chat_binding_that_cannot_be_deleted_keeps_the_walk_from_nothing(chat: Pair, there: There) -> None:
    """The others of its page go, and the walk goes on to the next one."""
    for name in ("phone", "tablet", "pc"):
        await chat.bind("bob", f"t-{name}", name, channels=BOTH, endpoint=f"e-{name}")
    await chat.converge()
    await there.connect("alice", "e-phone")
    [stuck] = await there.connect("carol", "e-tablet")
    await there.connect("dave", "e-pc")
    chat.proxy.refuse(f"Bindings/{stuck}", status=500)
    await chat_walked(chat)
    assert await there.endpoints(("alice", "carol", "dave")) == {("carol", "e-tablet")}
    anchor = chat.service.section.anchor
    assert await chat.running.store.command("GET", anchor + b":chat-walk", key=anchor) == b""


async def test_a_list_that_fails_is_no_end_of_a_page(chat: Pair, there: There) -> None:
    """Nothing was looked at: it is the same page's turn again."""
    await chat.bind("bob", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    await there.connect("alice", "e-phone")
    chat.proxy.script("GET", None, Fault(Kind.REFUSAL, status=500))
    with pytest.raises(OutcomeUnknown):
        await chat_walked(chat)
    await chat_walked(chat)
    assert await there.endpoints() == set()


async def test_chat_bindings_that_must_not_stay_are_found(chat: Pair, there: There) -> None:
    """An endpoint that is another identity's; what is registered, and what is not known here, stays."""
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.bind("alice", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    await chat.converge()
    await there.connect("alice", "e-tablet", "e-pc")
    await there.connect("bob", "e-phone")
    assert await chat_walked(chat) == 1
    assert await there.endpoints() == {("alice", "e-tablet"), ("alice", "e-pc")}
    assert await chat_walked(chat) == 0


async def test_a_strict_service_deletes_what_it_does_not_know(
    valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str, there: There
) -> None:
    """Once nobody may create Chat bindings past us any more."""
    valkey.call("FLUSHALL")
    settings = settings_here(valkey, proxy, "chat", BINDERY_CHAT_UPSTREAM_STRICT="yes")
    async with runtime(load(settings)) as running:
        chat = Pair(running, proxy, upstream_url)
        await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
        await chat.converge()
        await there.connect("alice", "e-phone", "e-pc")
        assert await chat_walked(chat) == 1
        assert await there.endpoints() == {("alice", "e-phone")}
