"""Chat bindings at a second Bindery, through either API: what must not stay there goes, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from service.backends.twilio import Attempt, ChatBinding
from service.bootstrap import runtime
from service.cli import main
from service.domain.errors import BadPageToken, UpstreamSilent
from service.domain.record import Channel, State
from service.domain.sids import BindingSid, user_sid
from service.settings import load
from service.usecases import chat_bindings
from service.usecases.chat_bindings import Filter
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.paging import Position
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, TOKEN, bind_chat_of, settings_of
from tests.integration.upstream.pair import Pair, environment
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually
from workers.listing import list_owed

pytestmark = pytest.mark.usefixtures("quick_backoff")

BOTH = Channel.NOTIFY | Channel.CHAT


def settings_here(valkey: ValkeyServer, proxy: FaultProxy, api: str, **more: str) -> dict[str, str]:
    """Chat at the upstream, Notify here."""
    url = f"{proxy.url}/conversations" if api == "conversations" else proxy.url
    found = {
        **environment(valkey.url, proxy.url),
        "BINDERY_CHAT_UPSTREAM_URL": url,
        "BINDERY_CHAT_UPSTREAM_API": api,
        **more,
    }
    del found["BINDERY_NOTIFY_UPSTREAM_URL"], found["BINDERY_NOTIFY_UPSTREAM_SID"]
    return found


@pytest.fixture(params=["chat", "conversations"])
def api(request: pytest.FixtureRequest) -> str:
    """The API that the upstream is driven through."""
    name: str = request.param
    return name


@pytest.fixture
async def chat(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str, api: str) -> AsyncIterator[Pair]:
    """Both, without a worker."""
    valkey.call("FLUSHALL")
    async with runtime(load(settings_here(valkey, proxy, api))) as running:
        yield Pair(running, proxy, upstream_url)


class There:
    """The upstream's Chat bindings, past the proxy and past us."""

    def __init__(self, environ: dict[str, str], url: str) -> None:
        self._environ, self._url = environ, url

    async def connect(self, identity: str, *endpoints: str) -> list[str]:
        """Apps' SDKs create bindings; answers their SIDs."""
        return await bind_chat_of(settings_of(self._environ), identity, endpoints)

    async def endpoints(self, identities: Iterable[str] = ("alice", "bob")) -> set[tuple[str, str]]:
        """Who has which."""
        async with httpx.AsyncClient(base_url=self._url, auth=(ACCOUNT, TOKEN)) as client:
            params = {"Identity": list(identities)}
            answer = await client.get(f"/v2/Services/{CHAT}/Bindings", params=params)
            return {(b["identity"], b["endpoint"]) for b in answer.json()["bindings"]}


@pytest.fixture
def there(environ_there: dict[str, str], upstream_url: str) -> There:
    """The upstream's Chat bindings."""
    return There(environ_there, upstream_url)


async def test_a_logout_deletes_the_devices_binding_and_no_other(chat: Pair, there: There) -> None:
    """The endpoints of other devices, and such as were never registered here, stay."""
    await there.connect("alice", "e-phone", "e-tablet", "e-pc")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.bind("alice", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    await chat.converge()
    record = await chat.record("t-phone")
    assert record.chat == State.APPLIED
    assert chat.proxy.reached("DELETE") == []
    await log_out(chat.service, "alice", device_id="phone")
    await chat.converge()
    assert await there.endpoints() == {("alice", "e-tablet"), ("alice", "e-pc")}
    assert len(chat.proxy.reached("DELETE")) == 1


async def test_a_takeover_deletes_the_former_identitys_binding(chat: Pair, there: There) -> None:
    """The endpoint is another's now; the new owner's SDK creates its own."""
    await there.connect("alice", "e-phone")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    await chat.bind("bob", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    assert await there.endpoints() == set()


async def test_a_rotated_token_keeps_the_binding(chat: Pair, there: There) -> None:
    """The device's endpoint is the same: its SDK updates the binding."""
    await there.connect("alice", "e-phone")
    await chat.bind("alice", "t-old", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    await chat.bind("alice", "t-new", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    assert await there.endpoints() == {("alice", "e-phone")}


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("GET", Fault(Kind.LOST_ANSWER)),
        ("GET", Fault(Kind.REFUSAL, status=500)),
        ("DELETE", Fault(Kind.LOST_ANSWER)),
        ("DELETE", Fault(Kind.REFUSAL, status=503)),
        ("DELETE", Fault(Kind.RESET_REQUEST)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind.value,
)
async def test_faults_cost_time_alone(chat: Pair, there: There, method: str, fault: Fault) -> None:
    """Whatever broke, the identity is listed again."""
    await there.connect("alice", "e-phone")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    chat.proxy.script(method, fault)
    await log_out(chat.service, "alice", device_id="phone")
    await chat.converge()
    assert await there.endpoints() == set()


async def test_what_comes_while_an_identity_is_worked_is_not_forgotten(chat: Pair, there: There) -> None:
    """A login of another device under the lease is looked at after it."""
    await there.connect("alice", "e-phone", "e-tablet")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    chat.proxy.script("GET", Fault(Kind.DELAY, seconds=0.1))
    work = asyncio.create_task(chat.drain_all())

    async def listed() -> bool:
        return bool(chat.proxy.seen)

    await eventually(listed)
    await chat.bind("alice", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    await work
    await chat.converge()
    assert (await chat.record("t-tablet")).chat == State.APPLIED


async def test_a_login_that_comes_before_the_list_keeps_its_binding(
    chat: Pair, there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device was logged out when the work was taken; what the list shows is its new session's."""
    await there.connect("alice", "e-phone")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    await log_out(chat.service, "alice", device_id="phone")
    upstream = chat.service.chat_upstream
    assert upstream is not None
    list_now, came = upstream.bindings.of, asyncio.Event()

    async def meanwhile(identities: Sequence[str], attempt: Attempt | None = None) -> list[ChatBinding]:
        if not came.is_set():
            came.set()
            await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
            await there.connect("alice", "e-phone")
        return await list_now(identities, attempt)

    monkeypatch.setattr(upstream.bindings, "of", meanwhile)
    await chat.converge()
    assert came.is_set()
    assert await there.endpoints() == {("alice", "e-phone")}
    assert (await chat.record("t-phone")).chat == State.APPLIED


async def test_the_routes_read_through_and_show_nobody_what_he_has_lost(chat: Pair, there: There) -> None:
    """Under the upstream's SIDs; a binding whose delete is yet to come there is shown no more."""
    sids = await there.connect("alice", "e-phone", "e-pc")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()

    async def shown() -> set[str]:
        page = await chat_bindings.page(chat.service, Filter(identities=("alice",)), Position(), 50)
        return {binding.endpoint for binding in page.items}

    assert await shown() == {"e-phone", "e-pc"}
    [(_, [view])] = await look_up(chat.service, ["alice"])
    assert view.bindings.chat is None
    assert BindingSid.parse(sids[0])
    await log_out(chat.service, "alice", device_id="phone")
    assert await there.endpoints() == {("alice", "e-phone"), ("alice", "e-pc")}
    assert await shown() == {"e-pc"}
    assert await chat_bindings.fetch(chat.service, sids[0]) is None
    assert await chat_bindings.delete(chat.service, sids[1])
    assert await there.endpoints() == {("alice", "e-phone")}
    await chat.proxy.down()
    with pytest.raises(UpstreamSilent):
        await shown()


async def test_a_list_of_everything_is_the_upstreams_without_what_was_lost(chat: Pair, there: There) -> None:
    """Page by page in its order, each binding once; never what was logged out, or is somebody else's by now."""
    await there.connect("alice", "e-phone", "e-pc", "e-tablet")
    await there.connect("bob", "e-watch")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    await log_out(chat.service, "alice", device_id="phone")
    await chat.bind("bob", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    start, found, pages = Position(), list[tuple[str, str]](), 0
    while True:
        page = await chat_bindings.page(chat.service, Filter(), start, 1)
        found += [(binding.identity, binding.endpoint) for binding in page.items]
        pages += 1
        assert page.previous is None
        if page.next is None:
            break
        start = page.next
    assert sorted(found) == [("alice", "e-pc"), ("bob", "e-watch")]
    assert pages == 4
    none = await chat_bindings.page(chat.service, Filter(binding_types=("apn",)), Position(), 50)
    assert (none.items, none.next) == ([], None)
    with pytest.raises(BadPageToken):
        await chat_bindings.page(chat.service, Filter(), Position(b"f" * 12), 50)


async def test_a_logout_of_the_identity_reaches_what_was_never_registered(chat: Pair, there: There) -> None:
    """It is shown no more, at once, and workers delete it; nobody else's goes with it."""
    sids = await there.connect("alice", "e-pc", "e-tablet")
    await there.connect("bob", "e-watch")
    await log_out(chat.service, "alice")
    for identities in (("alice",), ()):
        page = await chat_bindings.page(chat.service, Filter(identities=identities), Position(), 50)
        assert "alice" not in {binding.identity for binding in page.items}
    assert await chat_bindings.fetch(chat.service, sids[0]) is None
    assert await list_owed(chat.service) == 1
    assert await there.endpoints() == {("bob", "e-watch")}


async def test_a_users_list_reads_through(chat: Pair, there: There) -> None:
    """By identity; by User SID of those who are known here."""
    await there.connect("alice", "e-phone", "e-pc")

    async def of_user(user: str) -> set[str] | None:
        page = await chat_bindings.page_of_user(chat.service, user, (), Position(), 50)
        return {binding.endpoint for binding in page.items} if page else None

    assert await of_user("alice") == {"e-phone", "e-pc"}
    sid = user_sid(chat.service.fingerprints.owner("alice"))
    assert await of_user(sid) is None
    await chat.bind("alice", "t-phone", "phone")
    assert await of_user(sid) == {"e-phone", "e-pc"}


@pytest.mark.parametrize("whole", [False, True], ids=["of an identity", "of the Service"])
async def test_a_removal_that_is_confirmed_while_a_route_lists_is_shown_to_nobody(
    chat: Pair, there: There, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """The list is from before the delete, and what is noted here from after it."""
    await there.connect("alice", "e-phone", "e-pc")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    await log_out(chat.service, "alice", device_id="phone")
    upstream = chat.service.chat_upstream
    assert upstream is not None
    listing, method = upstream.bindings, "page" if whole else "of"
    list_now, confirmed = getattr(listing, method), asyncio.Event()

    async def then_confirmed(*args: Any) -> Any:
        found = await list_now(*args)
        if not confirmed.is_set():
            confirmed.set()
            await chat.converge()
        return found

    monkeypatch.setattr(listing, method, then_confirmed)
    wanted = Filter() if whole else Filter(identities=("alice",))
    page = await chat_bindings.page(chat.service, wanted, Position(), 50)
    assert confirmed.is_set()
    assert [binding.endpoint for binding in page.items] == ["e-pc"]


def test_a_dry_run_says_what_it_would_do_and_why(
    valkey: ValkeyServer, proxy_url: str, environ_there: dict[str, str], tmp_path: Path
) -> None:
    """Strict: unknown endpoints go too. Without --dry-run it is done."""
    settings = environment(valkey.url, proxy_url)
    environ = {
        **settings,
        "BINDERY_CHAT_UPSTREAM_URL": proxy_url,
        "BINDERY_CHAT_UPSTREAM_STRICT": "yes",
        "BINDERY_DATA_DIR": str(tmp_path),
    }
    [sid] = asyncio.run(bind_chat_of(settings_of(environ_there), "alice", ["e-pc"]))

    def run(*more: str) -> str:
        done = CliRunner().invoke(main, ["reconcile", "--identity", "alice", *more], env=environ)
        assert done.exit_code == 0, done.output
        return done.output

    said = f"delete {sid}  fcm  e-pc  (never registered here, and this Service is strict)\n"
    assert run("--dry-run") == said
    [line] = json.loads(run("--dry-run", "--json"))
    assert (line["sid"], line["decision"]) == (sid, "delete")
    assert run() == said
    assert run("--dry-run") == "no Chat bindings there\n"


@pytest.fixture
def proxy_url(upstream_url: str, store_there: ValkeyServer, valkey: ValkeyServer) -> str:
    """The upstream itself: here nothing breaks."""
    store_there.call("FLUSHALL")
    valkey.call("FLUSHALL")
    return upstream_url
