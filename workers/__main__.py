"""`python -m workers`: one worker process, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

import structlog
import uvloop

from service import standard_streams
from service.domain.errors import StoreRefused
from service.logs import configure, on_loop_error
from service.settings import Settings, SettingsError, load
from workers.process import run


def main() -> int:
    """Run to the end.

    Answers the exit status: 0 stopped, 1 the store refused us, 2 the settings are at fault, 3 we are.
    """
    standard_streams.open_missing()
    try:
        settings = load(os.environ)
    except SettingsError as error:
        with contextlib.suppress(OSError):  # where nobody can be told, the status tells it
            for fault in error.faults:
                sys.stderr.write(f"bindery worker: {fault}\n")
        return 2
    configure(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_signal(settings))


async def _until_signal(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(on_loop_error)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await run(settings, stop)
    except StoreRefused:
        return 1  # and it has said why
    except Exception as error:  # noqa: BLE001  # the process's edge: Python would print its text
        structlog.get_logger("workers").critical("worker_broke", error=type(error).__name__, exc_info=error)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
