"""`python -m workers`: one worker process, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import structlog
import uvloop

from service.logs import configure
from service.settings import Settings, SettingsError, load
from service.store.section import StoreRefused
from workers.process import run


def main() -> int:
    """Run to the end; answers the exit status: 0 stopped, 1 the store refused us, 2 settings at fault."""
    try:
        settings = load(os.environ)
    except SettingsError as error:
        for fault in error.faults:
            sys.stderr.write(f"bindery worker: {fault}\n")
        return 2
    configure(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_signal(settings))


async def _until_signal(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await run(settings, stop)
    except StoreRefused as error:
        structlog.get_logger("workers").error("store_refused", detail=error.detail)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
