"""Real processes in front of an upstream: the SDK at our API, and workers that are stopped and killed."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]  # the SDK has no types to offer
from twilio.rest import Client  # type: ignore[import-untyped]  # the same

from service.bootstrap import runtime
from service.settings import load
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from tests.e2e.compatible.api_process import api_process
from tests.integration.upstream.pair import Pair, environment
from tests.integration.workers.bench import SERVICE, Bench
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


@pytest.mark.slow
async def test_killed_workers_and_a_lost_queue_cost_no_second_create(
    own: ValkeyServer, own_pair: Pair, start: Start, proxy: FaultProxy
) -> None:
    """Through an outage of the upstream, workers killed twice: each address is created once, less than 1 % more."""
    workers = [start("one"), start("two")]
    first = await own_pair.login_many(200)
    await eventually(lambda: own_pair.applied(first[:1]))
    workers[0].send(signal.SIGKILL)
    await proxy.down()
    for n in range(200, 500):
        await own_pair.bind(f"user-{n}", f"late-{n}", f"device-{n}")
    for n in range(400, 500):
        await log_out(own_pair.service, f"user-{n}", device_id=f"device-{n}")
    for key in ("bindery:jobs", "bindery:bell"):
        own.call("DEL", key)
    workers[1].send(signal.SIGKILL)
    start("three")
    await proxy.up()
    await settled(own_pair, 90)
    wanted = set(first) | {f"late-{n}" for n in range(200, 400)}
    assert set(await own_pair.owners()) == wanted
    assert own_pair.posts() <= 1.01 * len(wanted)


@pytest.mark.slow
async def test_a_dead_upstream_slows_no_other_service(own: ValkeyServer, proxy: FaultProxy, tmp_path: Path) -> None:
    """One worker, hundreds of registrations for an upstream that answers nothing; the others' are applied at once."""
    other, file = "IS" + "2" * 32, tmp_path / "services.toml"
    file.write_text(
        f'''[[service]]
sid = "{SERVICE}"
name = "dead"
[service.notify_upstream]
url = "{proxy.url}"

[[service]]
sid = "{other}"
name = "own"
'''
    )
    only = ("BINDERY_SERVICE_SID", "BINDERY_CHAT_SERVICE_SID", "BINDERY_NOTIFY_", "BINDERY_CHAT_")
    environ = {k: v for k, v in environment(own.url, proxy.url).items() if not k.startswith(only)}
    environ |= {
        "BINDERY_SERVICES_FILE": str(file),
        "BINDERY_UPSTREAM_TIMEOUT": "5",
        "BINDERY_UPSTREAM_LONGEST_REQUEST": "5",
    }
    proxy.chance(1, 1.0, [Fault(Kind.NEVER)])
    async with runtime(load(environ)) as running:
        dead, alive = Bench(running), Bench(running)
        alive.service = running.directory.named("own")
        with WorkerProcess({**environ, "BINDERY_LOG_FORMAT": "json"}, tmp_path / "log"):
            await alive.login("first", "first")
            await eventually(lambda: alive.applied(["first"]))
            await dead.login_many(300)
            await eventually(lambda: _calling(proxy))
            slowest = 0.0
            for n in range(20):
                began = time.monotonic()
                await alive.login(f"user-{n}", f"alive-{n}")
                await eventually(lambda address=f"alive-{n}": alive.applied([address]))  # type: ignore[misc]
                slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2
        [(_, shown)] = await look_up(dead.service, ["of-token-7"])
        assert len(shown) == 1
        await log_out(dead.service, "of-token-7")
        assert [len(found) for _, found in await look_up(dead.service, ["of-token-7"])] == [0]


async def _calling(proxy: FaultProxy) -> bool:
    return len(proxy.seen) >= 16


async def _sent(pair: Pair, times: int) -> bool:
    return pair.posts() >= times
