"""Waiting for what a test expects to come true: a condition and a deadline, never a fixed pause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(check: Callable[[], Awaitable[T]], timeout: float = 15) -> T:  # noqa: ASYNC109  # polls
    """Asks every 10 ms until the answer is true, and answers it. Raises TimeoutError after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while True:
        found = await check()
        if found:
            return found
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {timeout} s: {check}")
        await asyncio.sleep(0.01)
