"""The supervised child, with small programs in place of the API and the workers."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli.up import tether
from service.cli.up.child import Child
from service.cli.up.supervisor import Stage, supervise

PATIENCE = 20.0


class Lines:
    """Collects the lines that are said, and lets a test wait for them."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, line: str) -> None:
        self.said.put_nowait(line)

    async def next(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await self.said.get()


def python(code: str, lines: Lines, *, pass_fds: tuple[int, ...] = ()) -> Child:
    argv = [sys.executable, "-I", "-S", "-c", code]
    return Child("one", argv, environ=os.environ, say=lines, pass_fds=pass_fds, first_delay=0.01, longest_delay=0.04)


async def test_the_delay_doubles_up_to_a_limit() -> None:
    """A child that cannot run does not take the machine with it."""
    lines = Lines()
    child = python("raise SystemExit(7)", lines)
    child.start()
    delays = [(await lines.next()).removeprefix("one ended with status 7; starting it again in ") for _ in range(4)]
    await child.stop(1)
    assert delays == ["0.01 s", "0.02 s", "0.04 s", "0.04 s"]


async def test_a_child_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process may be left, for a while; and a stop meanwhile is a stop like any other."""
    lines = Lines()
    child = python("while True: pass", lines)
    spawn, failures = child._spawn, 0

    async def failing() -> asyncio.subprocess.Process:
        nonlocal failures
        failures += 1
        if failures != 3:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return await spawn()

    monkeypatch.setattr(child, "_spawn", failing)
    child.start()
    for delay in ("0.01", "0.02"):
        said = await lines.next()
        assert said == f"one cannot be started: Resource temporarily unavailable; trying again in {delay} s"
    while child.pid is None:  # noqa: ASYNC110  # nothing says that it has started
        await asyncio.sleep(0.01)
    child_pid = child.pid
    os.kill(child_pid, signal.SIGKILL)
    assert "was ended by SIGKILL" in await lines.next()
    assert "cannot be started" in await lines.next()
    await child.stop(1)
    assert child.pid is None


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    """Stopping ends in any case, and says so."""
    lines = Lines()
    read, write = os.pipe()
    code = (
        "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"os.write({write}, b'x');\nwhile True: signal.pause()"
    )
    child = python(code, lines, pass_fds=(write,))
    child.start()
    await asyncio.wait_for(asyncio.to_thread(os.read, read, 1), PATIENCE)
    await child.stop(0.05)
    assert child.pid is None
    assert await lines.next() == "one did not end within 0.05 s: killed"
    os.close(read)
    os.close(write)


async def test_stages_stop_in_the_opposite_order(tmp_path: Path) -> None:
    """What serves stops before what it needs."""
    lines, log, ready = Lines(), tmp_path / "log", asyncio.Event()
    stages = []
    for name in ("store", "worker", "api"):
        read, write = os.pipe()
        code = (
            "import os, signal, sys\n"
            f"def end(*_): open({str(log)!r}, 'a').write('{name} '); sys.exit()\n"
            f"signal.signal(signal.SIGTERM, end); os.write({write}, b'x')\n"
            "while True: signal.pause()"
        )

        async def up(read: int = read) -> None:
            await asyncio.to_thread(os.read, read, 1)

        stages.append(Stage(name, [python(code, lines, pass_fds=(write,))], up))
    running = asyncio.create_task(supervise(stages, grace=5, say=lines, started=ready.set))
    await asyncio.wait_for(ready.wait(), PATIENCE)
    os.kill(os.getpid(), 15)
    await asyncio.wait_for(running, PATIENCE)
    assert log.read_text() == "api worker store "


def test_a_tether_without_its_supervisor_starts_nothing(tmp_path: Path) -> None:
    """A supervisor that dies while a child is being made leaves no orphan either."""
    mark = tmp_path / "ran"
    line = [sys.executable, "-I", "-S", str(tether.__file__), "1", "15", "touch", str(mark)]
    assert subprocess.run(line, check=False, timeout=PATIENCE).returncode == 0
    assert not mark.exists()
