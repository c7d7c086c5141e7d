"""One Service's upstream is dead; the others of the same processes do not feel it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import msgspec
import pytest
import uvloop

from tests.faults.client import Connection
from tests.faults.deployment import Deployment, deployed
from tests.faults.running import ACCOUNT, JSON, SERVICE, TOKEN
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.volumes.registering import register
from tests.volumes.site import second_bindery, share, url_of

pytestmark = pytest.mark.slow

OTHER, OWN = "IS" + "2" * 32, "IS" + "3" * 32
EVERY = 0.08
"""Seconds from one registration to the next of each Service that is measured; eight times more come for the other."""

NOISE = 1.5, 0.05

THERE = """
[[service]]
sid = "{dying}"
name = "dying"

[[service]]
sid = "{other}"
name = "other"
"""

HERE = """
[[service]]
sid = "{dying}"
name = "dying"
[service.notify_upstream]
url = "{first}"

[[service]]
sid = "{other}"
name = "other"
[service.notify_upstream]
url = "{second}"

[[service]]
sid = "{own}"
name = "own"
"""


async def applied(connection: Connection, service: str, numbers: range) -> list[float]:
    """Register at a steady pace; answers the seconds until each was applied, in order."""
    loop, seconds = asyncio.get_running_loop(), list[float]()
    headers, begin = {**JSON, "Prefer": "wait=10"}, loop.time()
    for n, number in enumerate(numbers):
        await asyncio.sleep(max(0.0, begin + n * EVERY - loop.time()))
        wanted = {"binding_type": "fcm", "address": f"token-of-{service}:{number}", "identity": f"{service}-{number}"}
        body = msgspec.json.encode({**wanted, "service": service})
        asked = loop.time()
        answer = await connection.request("POST", "/v1/registrations", headers, body, patience=15)
        seconds.append(loop.time() - asked)
        assert answer.status == 201, answer
    return sorted(seconds)


async def run(directory: Path, count: int) -> None:
    """The same load twice: with the upstream alive, then hanging."""
    async with AsyncExitStack() as stack:
        two = services_file(directory / "there.toml", THERE)
        there = url_of(await stack.enter_async_context(second_bindery(directory / "there", two)))
        first = await stack.enter_async_context(FaultProxy(there))
        second = await stack.enter_async_context(FaultProxy(there))
        chosen = settings(directory, first.url, second.url)
        with deployed(directory, appendfsync="no", settings=chosen, workers=2) as here:
            await here.ready()
            alive = await _measure(here, range(count))
            first.chance(1, 1.0, [Fault(Kind.NEVER)])
            dead = await _measure(here, range(count, 2 * count))
            hung = first.faults[Kind.NEVER]
            # In a thread: what workers have under way goes through the proxies.
            await asyncio.to_thread(here.end)
    for name, before, during in zip(("at its own upstream", "kept here"), alive, dead, strict=True):
        print(  # noqa: T201  # for the report
            f"\n{name}, until applied: p50 {1000 * share(before, 0.5):.1f} and {1000 * share(during, 0.5):.1f} ms,",
            f"p99 {1000 * share(before, 0.99):.1f} and {1000 * share(during, 0.99):.1f} ms; {hung} calls hung",
        )  # fmt: skip
        factor, more = NOISE
        for part in (0.5, 0.99):
            assert share(during, part) <= factor * share(before, part) + more
    assert hung > 0


async def _measure(here: Deployment, numbers: range) -> tuple[list[float], list[float]]:
    """What the two others of the Services take meanwhile."""
    crowd = range(8 * numbers.start, 8 * numbers.stop)
    async with aclosing(here.connection()) as one, aclosing(here.connection()) as another:
        other, own, _ = await asyncio.gather(
            applied(one, OTHER, numbers), applied(another, OWN, numbers), register(here, 4, crowd, every=EVERY / 2)
        )
    return other, own


def settings(directory: Path, first: str, second: str) -> dict[str, str]:
    """Three Services; calls may take ten seconds, as they may by default."""
    return {
        **services_file(directory / "here.toml", HERE, first=first, second=second),
        "BINDERY_UPSTREAM_USER": ACCOUNT,
        "BINDERY_UPSTREAM_SECRET": TOKEN,
        "BINDERY_UPSTREAM_RATE": "500",
    }


def services_file(path: Path, services: str, **urls: str) -> dict[str, str]:
    """Settings that name these Services, and no other."""
    path.write_text(services.format(dying=SERVICE, other=OTHER, own=OWN, **urls))
    return {"BINDERY_SERVICE_SID": "", "BINDERY_SERVICES_FILE": str(path)}


def go(directory: Path, count: int) -> None:
    """On a quick loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(directory, count))


def test_a_dead_upstream_slows_no_other_service(tmp_path: Path) -> None:
    """Neither one with an upstream of its own nor one without; five seconds of each."""
    go(tmp_path, 60)


@pytest.mark.proof
def test_a_dead_upstream_slows_no_other_service_for_long(tmp_path: Path) -> None:
    """Half a minute of each."""
    go(tmp_path, 375)
