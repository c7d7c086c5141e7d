"""The interleaved rounds: every case in every round, each in turns with the floor that it is compared with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from tests.benchmarks import cases
from tests.benchmarks.cases import Case
from tests.benchmarks.deployment import environment
from tests.benchmarks.measuring import Sample, Spread, by_turns, spread
from tests.benchmarks.peers import django_push
from tests.benchmarks.peers.plain_worker import PEER_QUEUE
from tests.benchmarks.processes import Program, python
from tests.benchmarks.scale import Scale
from tests.benchmarks.site import Api, Site, serving, site

NEW, NEW_EVERYSEC, ENQUEUE, DJANGO = (
    "new registration", "new registration, everysec", "redis-py pool and enqueue_job", "django-push-notifications"
)  # fmt: skip
UNCHANGED, UNCHANGED_KNOWN = "unchanged registration", "unchanged registration, token seen before"
LOOKUP = "lookup of 1 identity"
TURNS = 4
"""Of each case in a round: a quarter of a second or so, where shared machines change their pace within seconds."""


class Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """Samples by case, one per round; ``floor`` holds those of the runs that took turns with them."""

    cases: dict[str, list[Sample]]
    floor: dict[str, list[Sample]]

    def rate(self, name: str) -> Spread:
        """Answers per second."""
        return spread([sample.rate for sample in self.cases[name]])

    def to_floor(self, name: str) -> Spread:
        """The rate, as a share of the floor's."""
        return spread([s.rate / f.rate for s, f in zip(self.cases[name], self.floor[name], strict=True)])

    def cpu_to_floor(self, name: str) -> Spread:
        """The floor's CPU time per request in the API, as a share of the case's."""
        pairs = zip(self.cases[name], self.floor[name], strict=True)
        return spread([f.cpu["api"] / s.cpu["api"] for s, f in pairs if s.cpu["api"]])

    def applied_ratio(self, name: str, other: str) -> Spread:
        """The rate until all is applied, as a multiple of another case's in the same round."""
        pairs = zip(self.cases[name], self.cases[other], strict=True)
        return spread([mine.applied / theirs.applied for mine, theirs in pairs])

    def ratio(self, name: str, other: str) -> Spread:
        """The rate, as a multiple of another case's in the same round."""
        pairs = zip(self.cases[name], self.cases[other], strict=True)
        return spread([mine.rate / theirs.rate for mine, theirs in pairs])


@asynccontextmanager
async def parties(folder: Path, scale: Scale, *, django: bool) -> AsyncIterator[tuple[list[Case], Case, Site]]:
    """Everything that takes part in the rounds, running: the cases, the floor, and the site that most of them use."""
    async with AsyncExitStack() as stack:
        always = await stack.enter_async_context(site(folder, "always"))
        everysec = await stack.enter_async_context(site(folder, "everysec", appendfsync="everysec"))
        peer = stack.enter_context(_application("enqueue", always, folder))
        argv = python("-m", "tests.benchmarks.peers.plain_worker", always.valkey.url, PEER_QUEUE)
        jobs = stack.enter_context(Program(argv, folder / "peer-worker.log"))
        hello = stack.enter_context(_application("hello", always, folder))
        pool = await cases.make_pool(always, scale)
        n = scale.requests
        listed = [
            cases.new(always, NEW, n),
            cases.new(everysec, NEW_EVERYSEC, n),
            cases.enqueued(ENQUEUE, always, peer, jobs, n // 2),
            cases.unchanged(always, pool, UNCHANGED, n, first_use=True),
            cases.unchanged(always, pool, UNCHANGED_KNOWN, n, first_use=False),
            cases.takeover(always, "takeover", n // 2),
            cases.logout(always, "logout", n // 2),
            cases.lookup_one(always, pool, LOOKUP, n),
            cases.lookup_many(always, pool, "lookup of 100 identities", max(n // 20, 2)),
            cases.notify_create(always, "Notify create", n // 2),
            cases.notify_fetch(always, pool, "Notify fetch", n),
            cases.notify_list(always, pool, "Notify list", n // 2),
        ]
        if django:
            listed.append(stack.enter_context(django_push.case(DJANGO, folder, n // 5, scale.rounds)))
        yield listed, cases.stateless("hello", cases.alone(hello), scale.hello, 200), always


def _application(name: str, beside: Site, folder: Path) -> AbstractContextManager[Api]:
    argv = ("-m", "tests.benchmarks.serve", f"tests.benchmarks.peers.{name}:create_app")
    return serving(argv, environment(beside.valkey.url), folder / f"{name}.log")


async def run(listed: list[Case], hello: Case, rounds: int, say: Callable[[str], None]) -> Rounds:
    """Measure every case in every round, in an order that moves on from round to round.

    Raises AssertionError if any answer or final state is wrong.
    """
    found = Rounds(cases={case.name: [] for case in listed}, floor={case.name: [] for case in listed})
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        shift = number * 5 % len(listed)
        for case in listed[shift:] + listed[:shift]:
            try:
                plan = await case.prepare(number)
                floor = await hello.prepare(number)
                of_floor, of_case = await by_turns(TURNS, (hello.endpoint, floor), (case.endpoint, plan))
                found.floor[case.name].append(of_floor)
                found.cases[case.name].append(of_case)
            except AssertionError as error:
                error.add_note(f"in round {number + 1} of {case.name!r}")
                raise
    return found
