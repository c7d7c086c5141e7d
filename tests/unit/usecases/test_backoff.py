"""The pause before another try."""

from service.usecases.reconciling import backoff_ms


def test_it_doubles_up_to_five_minutes_and_spreads() -> None:
    """Each pause lies in the upper half of its ceiling, however often was tried."""
    for attempts in range(256):
        ceiling = min(500 * 2**attempts, 300_000)
        assert ceiling // 2 <= backoff_ms(attempts) <= ceiling
    assert len({backoff_ms(10) for _ in range(50)}) > 1
