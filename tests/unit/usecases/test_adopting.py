"""What of an upstream can be kept here at all."""

from __future__ import annotations

import pytest

from service.backends.twilio import ChatBinding, NotifyBinding
from service.usecases.upstream.adopting import chat_found, notify_found

SID = "BS" + "0" * 32
LONG = "x" * 70_000


@pytest.mark.parametrize(
    "changed",
    [
        {"address": ""},
        {"address": LONG},
        {"tags": (LONG,)},
        {"identity": LONG},
        {"binding_type": "fax"},
        {"sid": "BS1"},
    ],
)
def test_a_notify_binding_that_no_record_holds_is_not_taken(changed: dict[str, object]) -> None:
    """Lengths take two bytes there: what is longer would be read back as something else."""
    fields = {"sid": SID, "identity": "alice", "binding_type": "fcm", "address": "token"}
    assert notify_found(NotifyBinding(**fields)) is not None  # type: ignore[arg-type]
    assert notify_found(NotifyBinding(**{**fields, **changed})) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("changed", [{"endpoint": ""}, {"endpoint": LONG}, {"identity": LONG}, {"binding_type": "sms"}])
def test_nor_is_a_chat_binding(changed: dict[str, object]) -> None:
    """Likewise."""
    fields = {"sid": SID, "identity": "alice", "binding_type": "fcm", "endpoint": "e-1"}
    assert chat_found(ChatBinding(**fields)) is not None  # type: ignore[arg-type]
    assert chat_found(ChatBinding(**{**fields, **changed})) is None  # type: ignore[arg-type]
