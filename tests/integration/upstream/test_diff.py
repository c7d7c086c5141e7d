"""`bindery diff`: both sides compared, after random histories too."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.backends.twilio import ChatBinding, Page
from service.cli import main
from service.domain.record import Channel
from service.usecases.comparing import What, differences
from service.usecases.ending import log_out
from tests.integration.upstream.chat import BOTH, There
from tests.integration.upstream.pair import Pair, environment
from tests.servers.fault_proxy import ALL, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("quick_backoff")


async def diff(valkey: ValkeyServer, proxy: FaultProxy, directory: Path, *more: str) -> Result:
    """The command, beside this process's work."""
    environ = {**environment(valkey.url, proxy.url), "BINDERY_DATA_DIR": str(directory)}
    return await asyncio.to_thread(CliRunner().invoke, main, ["diff", *more], env=environ)


async def test_two_sides_that_agree_print_nothing(
    pair: Pair, valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Status 0; each kind of difference is told, with no address, and status 1."""
    for n in range(4):
        await pair.bind(f"user-{n}", f"token-{n}", f"device-{n}")
    await pair.converge()
    done = await diff(valkey, proxy, tmp_path)
    assert (done.exit_code, done.output) == (0, ""), done.exception
    by_address = {binding["address"]: binding["sid"] for binding in await pair.bindings()}
    await pair.delete_there(by_address["token-0"])
    other = await pair.create_there("user-1", "token-1", Tag="theirs")
    foreign = await pair.create_there("carol", "foreign")
    done = await diff(valkey, proxy, tmp_path, "--json")
    assert done.exit_code == 1
    found = {(line["what"], line["binding_sid"]) for line in json.loads(done.output)}
    assert found == {("missing there", by_address["token-0"]), ("differs", other), ("unknown here", foreign)}
    assert "token-0" not in (await diff(valkey, proxy, tmp_path)).output


async def test_a_logout_while_chat_bindings_are_compared_is_no_difference(
    chat: Pair, there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is confirmed after its binding was listed: what seems to differ is listed again; what does differ is told."""
    await there.connect("alice", "e-phone")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    [foreign] = await there.connect("bob", "e-foreign")
    upstream = chat.service.chat_upstream
    assert upstream is not None
    page = upstream.bindings.page

    async def then_a_logout(*asked: Any) -> Page[ChatBinding]:
        found = await page(*asked)
        monkeypatch.setattr(upstream.bindings, "page", page)
        await log_out(chat.service, "alice", device_id="phone")
        await chat.converge()
        return found

    monkeypatch.setattr(upstream.bindings, "page", then_a_logout)
    told = [(found.what, found.binding_sid) async for found in differences(chat.service, Channel.CHAT)]
    assert await there.endpoints() == {("bob", "e-foreign")}
    assert told == [(What.UNKNOWN, foreign)]


async def history(pair: Pair, devices: int, steps: int, seed: int) -> None:
    """Random logins, logouts, takeovers and rotations, while workers work through faults."""
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    pair.proxy.chance(seed, 0.1, [fault for fault in ALL if fault.kind is not Kind.DELAY and fault.status != 429])
    tokens = dict.fromkeys(range(devices), 0)
    over = asyncio.Event()

    async def work() -> None:
        while not over.is_set():
            await pair.drain_all()
            await asyncio.sleep(0.01)

    working = asyncio.create_task(work())
    for _ in range(steps):
        device = dice.randrange(devices)
        identity = f"user-{dice.randrange(devices // 2 + 1)}"
        if dice.random() < 0.2:
            tokens[device] += 1
        if dice.random() < 0.2:
            await log_out(pair.service, identity, device_id=f"device-{device}")
        else:
            # About two devices each: nobody reaches the cap.
            await pair.bind(identity, f"token-{device}-{tokens[device]}", f"device-{device}")
    over.set()
    await working
    pair.proxy.calm()


@pytest.mark.slow
async def test_a_random_history_with_faults_ends_without_a_difference(
    pair: Pair, valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    """300 devices, 1,500 steps, a tenth of the requests broken."""
    await history(pair, 300, 1500, 1)
    await pair.converge(60)
    done = await diff(valkey, proxy, tmp_path)
    assert (done.exit_code, done.output) == (0, ""), done.exception
    assert len(await pair.bindings()) > 100
    assert sum(proxy.faults.values()) > 5


@pytest.mark.proof
async def test_ten_thousand_devices_end_without_a_difference(
    pair: Pair, valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    """The same at length."""
    await history(pair, 10_000, 40_000, 2)
    await pair.converge(600)
    done = await diff(valkey, proxy, tmp_path)
    assert (done.exit_code, done.output) == (0, ""), done.exception
    assert len(await pair.bindings()) > 3000
    assert sum(proxy.faults.values()) > 100
