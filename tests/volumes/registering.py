"""Devices that register over some connections, and what each had to wait for its answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import msgspec

from tests.faults.client import Connection
from tests.faults.deployment import Deployment
from tests.faults.running import JSON


def address_of(number: int) -> str:
    """A device's token."""
    return f"token-of-device:{number}"


async def register(here: Deployment, connections: int, numbers: range, *, every: float = 0.0) -> list[float]:
    """Register each device for an identity of its own; answers the seconds that answers took, in order.

    Each connection begins a request ``every`` so many seconds, late ones at once; with none, one after the other.
    """
    following, seconds = iter(numbers), list[float]()
    begin = time.perf_counter()

    async def some(turn: float) -> None:
        # Not kept from one run to the next: the API ends those that are idle for long.
        async with aclosing(here.connection()) as connection:
            await over(connection, turn)

    async def over(connection: Connection, turn: float) -> None:
        for n, number in enumerate(following):
            due = begin + every * (n + turn)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            wanted = {"binding_type": "fcm", "address": address_of(number), "identity": f"user-{number}"}
            body = msgspec.json.encode({**wanted, "device_id": f"device-{number}"})
            asked = time.perf_counter()
            answer = await connection.request("POST", "/v1/registrations", JSON, body)
            seconds.append(time.perf_counter() - asked)
            assert answer.status == 202, answer

    await asyncio.gather(*(some(n / connections) for n in range(connections)))
    return sorted(seconds)
