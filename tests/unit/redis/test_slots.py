"""Where a Cluster's nodes say that a slot is."""

from __future__ import annotations

import pytest

from service.redis.errors import ReplyError
from service.redis.slots import read_redirection, read_slots
from service.redis.url import TCP

ASKED = TCP("asked", 7000)


@pytest.mark.parametrize(
    ("message", "there"),
    [
        ("16383 10.0.0.2:7001", TCP("10.0.0.2", 7001)),
        ("16383 valkey-1:7001", TCP("valkey-1", 7001)),
        ("16383 [fd00::2]:7001", TCP("fd00::2", 7001)),
        ("16383 fd00::2:7001", TCP("fd00::2", 7001)),
        ("16383 :7001", TCP("asked", 7001)),
        # It is to announce a name, and has none.
        ("16383 ?:7001", TCP("asked", 7001)),
    ],
)
def test_where_a_call_is_sent_to(message: str, there: TCP) -> None:
    """A node that does not know its own name is at the host that was asked."""
    assert read_redirection(ReplyError("MOVED", message), ASKED) == (16383, there)


@pytest.mark.parametrize(
    ("host", "name"), [(b"10.0.0.2", "10.0.0.2"), (b"", "asked"), (b"?", "asked"), (None, "asked")]
)
def test_where_slots_are(host: bytes | None, name: str) -> None:
    """Likewise in the map of all."""
    assert list(read_slots([[0, 16383, [host, 7001, b"id"]]], ASKED)) == [(range(16384), TCP(name, 7001))]
