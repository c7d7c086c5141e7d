"""What backends at an upstream tell of their calls."""

from __future__ import annotations

import pytest

from service.telemetry.catalogue import registry
from service.telemetry.upstreams import observe_call, observe_wait, show_breaker


@pytest.mark.parametrize(("state", "shown"), [("open", 2), ("probing", 1), ("closed", 0)])
def test_a_breaker_is_shown_by_its_number(state: str, shown: int) -> None:
    """The alert fires at 2."""
    show_breaker("upstream.test", state)
    assert registry.get_sample_value("bindery_upstream_breaker_state", {"upstream": "upstream.test"}) == shown


def test_of_several_accounts_the_worst_is_shown() -> None:
    """One that is well does not hide one that is not."""
    show_breaker("upstream.test", "open", "closed")
    assert registry.get_sample_value("bindery_upstream_breaker_state", {"upstream": "upstream.test"}) == 2


def test_calls_and_waits_are_counted() -> None:
    """By upstream, operation and outcome."""
    labels = {"upstream": "counted.test", "operation": "create", "outcome": "done"}
    observe_call("counted.test", "create", "done", 0.2)
    observe_wait("counted.test", 0.1)
    assert registry.get_sample_value("bindery_upstream_call_duration_seconds_count", labels) == 1
    assert registry.get_sample_value("bindery_upstream_wait_seconds_sum", {"upstream": "counted.test"}) == 0.1
