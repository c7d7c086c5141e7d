"""What seems to differ may be in motion: neither side stands still while they are compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

C = TypeVar("C")

AGAIN = 500
"""More candidates than these are no motion, but a difference."""

_ROUNDS, _ROUND_SECONDS = 3, 1.0


async def unmoved(
    candidates: AsyncIterator[C], still: Callable[[Sequence[C]], Awaitable[Sequence[C]]]
) -> AsyncIterator[C]:
    """Those candidates that differ whenever they are looked at again, which is what ``still`` does."""
    doubtful: list[C] = []
    many = False
    async for candidate in candidates:
        if many:
            yield candidate
            continue
        doubtful.append(candidate)
        if len(doubtful) > AGAIN:
            for each in doubtful:
                yield each
            doubtful, many = [], True
    for number in range(_ROUNDS):
        if not doubtful:
            return
        await asyncio.sleep(number * _ROUND_SECONDS)
        doubtful = list(await still(doubtful))
    for each in doubtful:
        yield each
