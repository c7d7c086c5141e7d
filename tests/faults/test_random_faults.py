"""Faults that strike at random moments under load: whatever was answered holds (contract 1 to 7)."""

from __future__ import annotations

import asyncio
import random
from typing import NamedTuple

import pytest

from tests.faults.deployment import Deployment
from tests.faults.history import Outcome
from tests.faults.load import Plan
from tests.faults.proving import Fault, prove

pytestmark = pytest.mark.slow


async def nothing(_: Deployment, dice: random.Random) -> None:
    """No fault: the harness itself."""
    await asyncio.sleep(dice.uniform(0.1, 0.2))


async def kill_api(deployment: Deployment, _: random.Random) -> None:
    """SIGKILL of the API, which is started again."""
    deployment.api.kill()
    deployment.api.start()
    await deployment.ready()


async def kill_worker(deployment: Deployment, _: random.Random) -> None:
    """SIGKILL of the worker, which is started again."""
    deployment.worker.kill()
    deployment.worker.start()
    await deployment.ready()


async def kill_valkey(deployment: Deployment, dice: random.Random) -> None:
    """SIGKILL of Valkey, which is started again on the same data."""
    await asyncio.to_thread(deployment.valkey.kill)
    await asyncio.sleep(dice.uniform(0, 0.5))
    await asyncio.to_thread(deployment.valkey.start)
    await deployment.ready()


async def kill_everything(deployment: Deployment, dice: random.Random) -> None:
    """SIGKILL of all three at once, as by a loss of power of everything but the disk."""
    deployment.api.kill()
    deployment.worker.kill()
    await asyncio.to_thread(deployment.valkey.kill)
    starts = [deployment.api.start, deployment.worker.start, deployment.valkey.start]
    dice.shuffle(starts)
    for start in starts:
        await asyncio.to_thread(start)
    await deployment.ready()


async def flush_queue(deployment: Deployment, _: random.Random) -> None:
    """Loss of every key of the job queue."""
    await asyncio.to_thread(deployment.valkey.call, "EVAL", "redis.call('SELECT', 1) return redis.call('FLUSHDB')", "0")


async def flush_queue_and_kill_worker(deployment: Deployment, dice: random.Random) -> None:
    """Loss of the queue and of the worker with it."""
    deployment.worker.kill()
    await flush_queue(deployment, dice)
    deployment.worker.start()
    await deployment.ready()


async def pause_worker(deployment: Deployment, dice: random.Random) -> None:
    """SIGSTOP of the worker, and SIGCONT."""
    await pause_worker_for(deployment, dice.uniform(0.1, 1.0))


async def pause_worker_past_its_lease(deployment: Deployment, dice: random.Random) -> None:
    """SIGSTOP for longer than its leases last."""
    await pause_worker_for(deployment, dice.uniform(5.5, 7.0))


async def pause_worker_for(deployment: Deployment, seconds: float) -> None:
    """SIGSTOP, and SIGCONT after so many seconds."""
    deployment.worker.stop()
    await asyncio.sleep(seconds)
    deployment.worker.go_on()


async def pause_api(deployment: Deployment, dice: random.Random) -> None:
    """SIGSTOP of the API, and SIGCONT."""
    deployment.api.stop()
    await asyncio.sleep(dice.uniform(0.1, 1.0))
    deployment.api.go_on()


async def pause_valkey(deployment: Deployment, dice: random.Random) -> None:
    """SIGSTOP of Valkey, now and then for longer than a call to it may take, and SIGCONT."""
    deployment.valkey.pause()
    await asyncio.sleep(dice.choice([dice.uniform(0.05, 0.5), dice.uniform(1.2, 2.5)]))
    deployment.valkey.resume()
    await deployment.ready()


async def slow_valkey(deployment: Deployment, dice: random.Random) -> None:
    """Valkey does nothing for a moment, as while it forks or swaps."""
    await asyncio.to_thread(deployment.valkey.call, "DEBUG", "SLEEP", f"{dice.uniform(0.05, 1.0):.3f}")


async def flush_scripts(deployment: Deployment, _: random.Random) -> None:
    """Valkey forgets every script."""
    await asyncio.to_thread(deployment.valkey.call, "SCRIPT", "FLUSH")
    await asyncio.to_thread(deployment.valkey.call, "FUNCTION", "FLUSH")


async def cut_connections(deployment: Deployment, _: random.Random) -> None:
    """Valkey cuts every connection."""
    await asyncio.to_thread(deployment.valkey.call, "CLIENT", "KILL", "TYPE", "normal")


class Case(NamedTuple):
    """A fault, how often it strikes in the short form and in the long one, and the rest in between."""

    fault: Fault[Deployment]
    times: int
    long: int
    rest: tuple[float, float] = (0.1, 0.6)


CASES = [
    Case(nothing, 3, 100),
    Case(kill_api, 3, 25),
    Case(kill_worker, 3, 25),
    Case(kill_valkey, 4, 40),
    Case(kill_everything, 2, 20),
    Case(flush_queue, 10, 200, (0.05, 0.3)),
    Case(flush_queue_and_kill_worker, 2, 20),
    Case(pause_worker, 3, 30),
    Case(pause_api, 3, 30),
    Case(pause_valkey, 3, 30),
    Case(slow_valkey, 4, 40),
    Case(flush_scripts, 10, 200, (0.05, 0.3)),
    Case(cut_connections, 10, 200, (0.05, 0.3)),
]
LONG_ONLY = [Case(pause_worker_past_its_lease, 0, 5)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault.__name__)
def test_nothing_answered_is_lost(deployment: Deployment, case: Case) -> None:
    """All clients' answers have one order that explains them; in the end nothing is owed, and no letter is dead."""
    history = prove(deployment, case.fault, times=case.times, rest=case.rest)
    if case.fault is nothing:
        # And nothing goes wrong by itself.
        assert history.unanswered == 0
        assert not [op for op in history.ops if op.outcome is Outcome.UNKNOWN or op.reason == "too-many-requests"]


@pytest.mark.proof
@pytest.mark.parametrize("case", [*CASES, *LONG_ONLY], ids=lambda case: case.fault.__name__)
def test_nothing_answered_is_lost_in_the_long_run(deployment: Deployment, case: Case) -> None:
    """The same with twice the clients, and many more faults."""
    prove(deployment, case.fault, times=case.long, rest=case.rest, plan=Plan(clients=32, shared=16, pause=0.1))


@pytest.mark.proof
def test_nothing_answered_is_lost_when_everything_goes_wrong(deployment: Deployment) -> None:
    """All faults, in random order."""

    async def any_fault(deployment: Deployment, dice: random.Random) -> None:
        await dice.choice(CASES).fault(deployment, dice)

    prove(deployment, any_fault, times=100, plan=Plan(clients=32, shared=16, pause=0.1))
