"""Starts Valkey, API and workers in order, keeps them running, and stops them in the opposite order."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence

from service.cli.up.child import Child

_REMIND = 10.0
"""Seconds between lines that say what is still being waited for."""

_MARGIN = 2.0
"""Seconds beyond the grace before SIGKILL: the children keep to the grace by themselves."""

_SAME = 1.0
"""Seconds within which further signals say the same: `make` hands on what its whole process group gets as well."""

Wait = Callable[[], Awaitable[None]]


class Stage:
    """Children that start together, and what has to come true before the next stage starts."""

    def __init__(self, what: str, children: Sequence[Child], ready: Wait | None = None) -> None:
        self.what, self.children, self.ready = what, children, ready


async def supervise(
    stages: Sequence[Stage], *, grace: float, say: Callable[[str], None], started: Callable[[], None]
) -> None:
    """Run every stage, call `started`, and go on until SIGINT, SIGTERM or, unless `nohup` has it ignored, SIGHUP.

    Then the stages stop, the last one first, each within `grace` seconds; a signal that comes later than at the same
    time kills at once.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    first = 0.0

    def on_signal() -> None:
        nonlocal first
        if not stop.is_set():
            first = loop.time()
            stop.set()
        elif loop.time() - first >= _SAME:
            hurry.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, on_signal)
    begun: list[Stage] = []
    starting = asyncio.create_task(_start(stages, begun, say, started))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        killing = asyncio.create_task(_kill_on(hurry, begun))
        for stage in reversed(begun):
            await asyncio.gather(*(child.stop(grace + _MARGIN) for child in stage.children))
        killing.cancel()


async def _start(
    stages: Sequence[Stage], begun: list[Stage], say: Callable[[str], None], started: Callable[[], None]
) -> None:
    for stage in stages:
        begun.append(stage)
        for child in stage.children:
            child.start()
        if stage.ready is not None:
            await _wait(stage.ready, stage.what, say)
    started()


async def _wait(ready: Wait, what: str, say: Callable[[str], None]) -> None:
    waiting = asyncio.ensure_future(ready())
    try:
        while not (await asyncio.wait({waiting}, timeout=_REMIND))[0]:
            say(f"still waiting for {what}")
        waiting.result()
    finally:
        waiting.cancel()


async def _kill_on(hurry: asyncio.Event, begun: Sequence[Stage]) -> None:
    await hurry.wait()
    for stage in begun:
        for child in stage.children:
            child.kill()
