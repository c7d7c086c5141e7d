"""One supervised child process: started, watched, started again with backoff, stopped."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")
_STEADY = 10.0
"""Seconds after which a child that dies counts as having run well."""


class Child:
    """A command that runs until it is stopped.

    Args:
        name: what the lines on the terminal call it.
        argv: the program and its arguments.
        environ: its whole environment.
        pass_fds: descriptors it inherits.
        say: takes each line for the terminal.
        first_delay, longest_delay: seconds before a restart; doubled from death to death.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        pass_fds: Sequence[int] = (),
        first_delay: float = 0.5,
        longest_delay: float = 30.0,
    ) -> None:
        self.name = name
        self._argv = [
            sys.executable,
            "-I",
            "-S",
            str(_TETHER),
            str(os.getpid()),
            str(int(signal.SIGTERM)),
            *argv,
        ]
        self._environ, self._pass_fds, self._say = environ, pass_fds, say
        self._first_delay, self._longest_delay = first_delay, longest_delay
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def start(self) -> None:
        """Begin to run it, and to restart it whenever it dies."""
        self._task = asyncio.create_task(self._keep_running(), name=self.name)

    async def stop(self, grace: float) -> None:
        """End it: SIGTERM, then SIGKILL after `grace` seconds. Returns when it is gone."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(grace):
                await process.wait()
        except TimeoutError:
            self._say(f"{self.name} did not end within {grace:g} s: killed")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """SIGKILL, if it runs; it is not started again."""
        if self._task is not None:
            self._task.cancel()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _keep_running(self) -> None:
        delay = self._first_delay
        while True:
            began = time.monotonic()
            # Shielded: a stop that comes while the process is being made must still find it.
            making = asyncio.ensure_future(self._spawn())
            try:
                self._process = await asyncio.shield(making)
            except asyncio.CancelledError:
                with contextlib.suppress(OSError):
                    self._process = await making
                raise
            except OSError as error:
                # No memory, no process left, a program that is just being replaced: it may pass.
                self._say(f"{self.name} cannot be started: {error.strerror}; trying again in {delay:g} s")
                await asyncio.sleep(delay)
                delay = min(delay * 2, self._longest_delay)
                continue
            status = await self._process.wait()
            if time.monotonic() - began >= _STEADY:
                delay = self._first_delay
            self._say(f"{self.name} {_ended(status)}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            delay = min(delay * 2, self._longest_delay)

    async def _spawn(self) -> asyncio.subprocess.Process:
        # A session of its own: Ctrl-C reaches the supervisor alone, which then stops its children in order.
        return await asyncio.create_subprocess_exec(
            *self._argv,
            env=dict(self._environ),
            pass_fds=self._pass_fds,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"
