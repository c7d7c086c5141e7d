"""How much each benchmark does."""

from __future__ import annotations

import msgspec


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """Volumes of one run. Counts are per round, times in seconds."""

    rounds: int = 5
    requests: int = 4000
    """Of a fast case; slow ones take a share of it."""
    hello: int = 3000
    """Requests to the floor, before each case."""
    pool: int = 2000
    """Devices that unchanged registrations and lookups go through."""
    drained: int = 20_000
    plain: int = 2_000
    """Jobs for plain arq."""
    idle_seconds: float = 10
    idle_requests: int = 250
    idle_rate: float = 25
    sustained_seconds: float = 60
    half_seconds: float = 6
    small: int = 10_000
    large: int = 1_000_000
    """Devices in the two stores whose cost is compared."""
    fcm: int = 1_000_000
    """Devices in the store of FCM tokens."""


BENCH = Scale()
FULL = Scale(
    rounds=7,
    requests=8000,
    hello=5000,
    drained=50_000,
    plain=5_000,
    half_seconds=30,
    fcm=1_000_000,
)
SMOKE = Scale(
    rounds=1, requests=60, hello=40, pool=30, drained=300, plain=40, idle_seconds=0.2, idle_requests=5, idle_rate=50,
    sustained_seconds=0.3, half_seconds=0.3, small=100, large=400, fcm=200,
)  # fmt: skip
