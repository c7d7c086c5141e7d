"""Calls to upstreams in the metrics, for the backends that make them.

``upstream`` is the host of a configured URL, ``operation`` and ``outcome`` are words of the code: never what an
upstream has answered.
"""

from __future__ import annotations

from service.telemetry.catalogue import UPSTREAM_BREAKER, UPSTREAM_CALLS, UPSTREAM_WAITS

_BREAKER = {"closed": 0, "probing": 1, "open": 2}


def observe_call(upstream: str, operation: str, outcome: str, seconds: float) -> None:
    """A call has ended."""
    UPSTREAM_CALLS.labels(upstream, operation, outcome).observe(seconds)


def observe_wait(upstream: str, seconds: float) -> None:
    """A call has waited for its turn by the rate limit."""
    UPSTREAM_WAITS.labels(upstream).observe(seconds)


def show_breaker(upstream: str, *states: str) -> None:
    """The breakers of its accounts are ``closed``, ``probing`` or ``open``; the worst is shown."""
    UPSTREAM_BREAKER.labels(upstream).set(max(_BREAKER[state] for state in states))
