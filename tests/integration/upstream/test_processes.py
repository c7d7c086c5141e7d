"""Real processes in front of an upstream: the SDK at our API, and workers that are stopped and killed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]  # the SDK has no types to offer
from twilio.rest import Client  # type: ignore[import-untyped]  # the same

from service.bootstrap import runtime
from service.settings import load
from tests.e2e.compatible.api_process import api_process
from tests.integration.upstream.pair import Pair, environment
from tests.integration.workers.bench import SERVICE
from tests.integration.workers.worker_process import WorkerProcess
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

Start = Callable[[str], WorkerProcess]
TOKEN = "fcm-token-of-a-device"


@pytest.fixture
def own() -> Iterator[ValkeyServer]:
    """A store here that loses nothing answered."""
    with ValkeyServer(appendfsync="always") as server:
        yield server


@pytest.fixture
async def own_pair(own: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> AsyncIterator[Pair]:
    """Both sides, to be worked by processes."""
    async with runtime(load(environment(own.url, proxy.url))) as running:
        yield Pair(running, proxy, upstream_url)


@pytest.fixture
def start(own: ValkeyServer, proxy: FaultProxy, tmp_path: Path) -> Iterator[Start]:
    """Starts workers."""
    with ExitStack() as started:

        def start(name: str) -> WorkerProcess:
            environ = {**environment(own.url, proxy.url), "BINDERY_LOG_FORMAT": "json"}
            return started.enter_context(WorkerProcess(environ, tmp_path / name))

        yield start


async def settled(pair: Pair, timeout: float = 40) -> None:  # noqa: ASYNC109  # polls
    """Wait until nothing is owed."""

    async def empty() -> bool:
        return not await pair.depth()

    await eventually(empty, timeout)


async def test_the_sdk_in_front_of_an_upstream(
    own: ValkeyServer, own_pair: Pair, start: Start, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Created here is created there, under the same SID; deleted here is gone there when the answer comes."""
    start("worker")

    def drive(url: str) -> tuple[str, str]:
        client = Client("AC" + "0" * 32, "t" * 32)
        client.notify.base_url = url
        bindings = client.notify.v1.services(SERVICE).bindings
        created = bindings.create(identity="alice", binding_type="fcm", address=TOKEN, tag=["one"])
        assert (bindings(created.sid).fetch().sid, [b.sid for b in bindings.list()]) == (created.sid, [created.sid])
        moved = bindings.create(identity="bob", binding_type="fcm", address=TOKEN)
        with pytest.raises(TwilioRestException) as old:
            bindings(created.sid).fetch()
        assert old.value.status == 404
        assert bindings(moved.sid).delete() is True
        with pytest.raises(TwilioRestException) as again:
            bindings(moved.sid).delete()
        assert again.value.status == 404
        return bindings.create(identity="bob", binding_type="fcm", address=TOKEN).sid, moved.sid

    def refused(url: str) -> TwilioRestException:
        client = Client("AC" + "0" * 32, "t" * 32)
        client.notify.base_url = url
        with pytest.raises(TwilioRestException) as caught:
            client.notify.v1.services(SERVICE).bindings.create(identity="x", binding_type="fcm", address="other")
        return caught.value

    with api_process(environment(own.url, proxy.url), tmp_path) as url:
        last, _ = await asyncio.to_thread(drive, url)
        assert [b["sid"] for b in await own_pair.bindings()] == [last]
        proxy.script("POST", Fault(Kind.REFUSAL, status=400))
        error = await asyncio.to_thread(refused, url)
    assert (error.status, error.code) == (400, 20001)
    assert "400/20500 a fault" in error.msg


@pytest.mark.slow
async def test_what_was_made_past_us_is_shown_and_logged_out(
    own: ValkeyServer, own_pair: Pair, start: Start, proxy: FaultProxy, tmp_path: Path
) -> None:
    """By the API's processes, two of them; workers find what nobody has asked for, there and here."""
    start("worker")
    sid = await own_pair.create_there("alice", TOKEN)
    await own_pair.create_there("bob", "another")
    environ = environment(own.url, proxy.url)
    (tmp_path / "second").mkdir()
    with api_process(environ, tmp_path) as one, api_process(environ, tmp_path / "second") as two:
        async with httpx.AsyncClient(auth=("AC" + "0" * 32, "t" * 32)) as client:
            for url in (one, two):
                found = (await client.get(f"{url}/v1/identities/alice/bindings")).json()["bindings"]
                assert [binding["bindings"]["notify"] for binding in found] == [sid]
            for identity in ("alice", "bob"):
                answer = await client.post(f"{two}/v1/logouts", json={"identity": identity})
                assert answer.status_code == 200
            for identity in ("alice", "bob"):
                found = (await client.get(f"{one}/v1/identities/{identity}/bindings")).json()["bindings"]
                assert found == []

    async def gone() -> bool:
        return await own_pair.owners() == {}

    await eventually(gone, 30)


@pytest.mark.slow
async def test_a_stopped_workers_old_create_does_not_win(own_pair: Pair, start: Start, proxy: FaultProxy) -> None:
    """Stopped in its call, it wakes long after another has done the work; its create lands in between."""
    stopped = start("stopped")
    proxy.script("POST", Fault(Kind.LATE))
    await own_pair.bind("alice", TOKEN, "phone")
    await eventually(lambda: _sent(own_pair, 1))
    stopped.send(signal.SIGSTOP)
    start("other")
    await own_pair.bind("bob", TOKEN, "phone")
    await eventually(lambda: _sent(own_pair, 2), 30)
    await own_pair.proxy.release()
    assert await own_pair.owners() == {TOKEN: "alice"}
    stopped.send(signal.SIGCONT)

    async def bobs() -> bool:
        return await own_pair.owners() == {TOKEN: "bob"}

    await eventually(bobs, 30)
    await settled(own_pair)
    assert await bobs()


async def _sent(pair: Pair, times: int) -> bool:
    return pair.posts() >= times
