"""Chat bindings at a second Bindery, through either API: what must not stay there goes, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.backends.twilio import Attempt, ChatBinding
from service.cli import main
from service.domain.record import State
from service.usecases.ending import log_out
from tests.e2e.compatible.deployment import bind_chat_of, settings_of
from tests.integration.upstream.chat import BOTH, There
from tests.integration.upstream.pair import Pair, environment
from tests.servers.fault_proxy import Fault, Kind
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("quick_backoff")


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
