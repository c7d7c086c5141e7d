"""What a Service's event stream holds: every state change, typed, without addresses or device ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from service.domain.sids import BindingSid, RegistrationId, user_sid


class EventType(Enum):
    """What happened; the values are the stream's."""

    REGISTERED = "registered"
    """A registration was accepted that changes the desired state. ``other_user_sid`` is whom it was taken from."""
    ADOPTED = "adopted"
    """A binding that was never registered here was found, at an upstream or in an import, and is shown from now on.
    ``other_user_sid`` is whom an import has taken it from."""
    REMOVED = "removed"
    """A registration, or one of its channels, left the desired state; ``reason`` says why."""
    REARMED = "rearmed"
    """What had failed is tried again."""
    APPLIED = "applied"
    """The backend now holds the desired version."""
    ENDED = "ended"
    """The backend no longer holds a removed binding. Nothing is said of one that another identity's has replaced."""
    FAILED = "failed"
    """The backend refused for good: see the dead letters."""


class Reason(Enum):
    """Why something was removed."""

    LOGOUT = "logout"
    PUSH_OFF = "push-off"
    DELETED = "deleted"
    """Deleted by its SID on a compatible route."""
    TAKEN = "taken"
    """The device or endpoint was registered for another identity, ``other_user_sid``."""
    ROTATED = "rotated"
    """The device registered a newer address for the same identity."""
    EVICTED = "evicted"
    """The cap's ``replace-oldest``."""
    STALE = "stale"
    """Its device has not registered for ``BINDERY_STALE_DAYS``."""
    VANISHED = "vanished"
    """The upstream holds its binding no more, without our doing: its address is taken for dead."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of the stream. ``at`` is milliseconds since the epoch by the store's clock."""

    at: int
    type: EventType
    channels: tuple[str, ...]
    user_sid: str
    registration_id: str | None = None
    """None for an event of a Chat binding alone."""
    binding_sid: str | None = None
    """None for the Chat channel of a registration: its Chat binding has an event of its own."""
    other_user_sid: str | None = None
    reason: Reason | None = None


def decode_event(entry_id: bytes, fields: Iterable[bytes]) -> Event:
    """An event from a stream entry: its id, and its fields and values in turn."""
    flat = list(fields)
    values: Mapping[bytes, bytes] = dict(zip(flat[::2], flat[1::2], strict=True))
    channels = tuple(values[b"c"].decode().split(","))
    fingerprint, version, nonce = values[b"f"], int(values.get(b"g", b"0")), values.get(b"s")
    sid = BindingSid.of(values[b"x"]) if b"x" in values else BindingSid(fingerprint, nonce) if nonce else None
    return Event(
        at=int(entry_id.split(b"-")[0]),
        type=EventType(values[b"t"].decode()),
        channels=channels,
        user_sid=user_sid(values[b"u"]),
        registration_id=None if channels == ("chat",) and sid else str(RegistrationId(fingerprint, version)),
        binding_sid=str(sid) if sid else None,
        other_user_sid=user_sid(values[b"o"]) if b"o" in values else None,
        reason=Reason(values[b"r"].decode()) if b"r" in values else None,
    )
