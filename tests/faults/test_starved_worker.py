"""A worker that gets so little of a processor that its leases run out while it works, beside one that gets enough."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.deployment import Deployment, deployed
from tests.faults.load import Plan
from tests.faults.product import change, copied
from tests.faults.proving import prove
from tests.faults.running import SERVICE

pytestmark = pytest.mark.slow

SHORT_MS = 150
"""Milliseconds that leases and wake flags last, and that pass between sweeps."""
WORK_MS = 50
"""Milliseconds that a batch takes, so that what it works on often changes meanwhile."""

BATCHES = "workers/batches.py"
SETTLE = "await service.ledgers.settle(lane, lease.token, settlements)"
TELL = f"""if await service.ledgers.settle(lane, lease.token, settlements) < len(
            settlements
        ) and __import__("time").monotonic() - began > {SHORT_MS} / 1000:
            print("overtaken", flush=True)"""
TAKE = "    lease = await service.ledgers.take("
WORK = "        settlements = await attempt(reconcile, lease.records)"

LEASED = """
local clock, leased = redis.call('TIME'), 0
local now = clock[1] * 1000 + clock[2] / 1000
for lane = 0, 7 do leased = leased + redis.call('ZCOUNT', KEYS[1] .. ':n' .. lane, now, '+inf') end
return leased
"""


@contextmanager
def short_leased(directory: Path) -> Iterator[Deployment]:
    """Two workers whose leases are short, and who tell when one has run out and somebody else has settled."""
    product = copied(directory / "product")
    change(product, BATCHES, "LEASE_MS = 5_000", f"LEASE_MS = {SHORT_MS}")
    change(product, BATCHES, TAKE, f'    began = __import__("time").monotonic()\n{TAKE}')
    change(product, BATCHES, SETTLE, TELL)
    change(product, BATCHES, WORK, f"        await asyncio.sleep({WORK_MS} / 1000)\n{WORK}")
    change(product, "workers/sweep.py", "EVERY_SECONDS = 2.0", f"EVERY_SECONDS = {SHORT_MS} / 1000")
    change(product, "service/store/lua/lib/unit.lua", "LANES, FLAG_MS = 8, 2000", f"LANES, FLAG_MS = 8, {SHORT_MS}")
    with deployed(directory, workers=2, code=product) as deployment:
        yield deployment


async def starve(deployment: Deployment, dice: random.Random, seconds: float = 6 * SHORT_MS / 1000) -> None:
    """One worker or the other runs for milliseconds at a time, until it is halted at work for longer than its lease."""
    starved = dice.choice(deployment.workers)
    starved.stop()
    for _ in range(200):
        if await halted_at_work(deployment):
            await asyncio.sleep(dice.uniform(0.7, 1) * seconds)
            break
        starved.go_on()
        await asyncio.sleep(dice.uniform(0.0005, 0.005))
        starved.stop()
    starved.go_on()


async def halted_at_work(deployment: Deployment) -> bool:
    """Whether something is leased for longer than any batch takes: so it is by the worker that is halted."""
    if not leased(deployment):
        return False
    await asyncio.sleep(1.2 * WORK_MS / 1000)
    return bool(leased(deployment))


def leased(deployment: Deployment) -> object:
    """How many registrations are leased."""
    return deployment.valkey.call("EVAL", LEASED, "1", f"{{{SERVICE}}}")


def test_nothing_answered_is_lost_when_leases_run_out_under_work(tmp_path: Path) -> None:
    """What a late worker settles no longer counts; and it does come to that."""
    with short_leased(tmp_path) as deployment:
        prove(deployment, starve, times=6, plan=Plan(pause=0.01), rest=(0.05, 0.2))
        told = "".join((tmp_path / f"{worker.name}.log").read_text() for worker in deployment.workers)
    print(f"overtaken {told.count('overtaken')} times")  # noqa: T201  # for the report
    assert "overtaken" in told


async def starve_past_lease(deployment: Deployment, dice: random.Random) -> None:
    """The same with leases of five seconds."""
    await starve(deployment, dice, 10.0)


@pytest.mark.proof
def test_nothing_answered_is_lost_when_leases_run_out_in_the_long_run(tmp_path: Path) -> None:
    """With the leases that workers really take."""
    with deployed(tmp_path, workers=2) as deployment:
        prove(deployment, starve_past_lease, times=6, plan=Plan(clients=32, pause=0.05))
