"""What a registration looks like from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache

import msgspec

from service.domain.record import Channel, Record, State
from service.domain.sids import RegistrationId, user_sid


class RegistrationState(Enum):
    """Where a registration is on its way to its backends."""

    PENDING = "pending"
    APPLIED = "applied"
    FAILED = "failed"


class PastState(Enum):
    """What became of a registration that is no longer desired."""

    SUPERSEDED = "superseded"
    """A later registration of the same address has taken its place."""
    REMOVED = "removed"
    """Its removal is on its way to the backends."""


class ChatView(msgspec.Struct, frozen=True, kw_only=True):
    """The Chat side of a registration."""

    endpoint: str
    message_types: tuple[str, ...] | None


class BindingSids(msgspec.Struct, frozen=True, kw_only=True):
    """The SIDs of the bindings that stand for a registration now; null where there is none yet."""

    notify: str | None
    chat: str | None


class RegistrationView(msgspec.Struct, frozen=True, kw_only=True):
    """A registration: what was asked for, and how far it has come.

    Times are UTC, to the second; ``last_seen_at`` may be up to an hour behind.
    """

    id: str
    state: RegistrationState
    version: int
    service_sid: str
    identity: str
    user_sid: str
    binding_type: str
    address: str
    device_id: str | None
    tags: tuple[str, ...]
    credential_sid: str | None
    notification_protocol_version: str | None
    channels: tuple[str, ...]
    chat: ChatView | None
    bindings: BindingSids
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime


class PastRegistrationView(msgspec.Struct, frozen=True, kw_only=True):
    """A registration that is no longer desired: its id, and what became of it."""

    id: str
    state: PastState
    version: int
    service_sid: str


_CHANNELS = {
    mask: tuple(c.name.lower() for c in (Channel.NOTIFY, Channel.CHAT) if mask & c and c.name) for mask in range(4)
}


def state_of(record: Record) -> RegistrationState:
    """The state of the record's own generation; it is desired."""
    notify, chat = record.notify, record.chat
    if notify == State.FAILED or chat == State.FAILED:
        return RegistrationState.FAILED
    if notify in _UNSETTLED or chat in _UNSETTLED:
        return RegistrationState.PENDING
    return RegistrationState.APPLIED


# As integers: this is asked of every record that is shown, and enumerations are slow to hash and to combine.
_UNSETTLED = (int(State.PENDING), int(State.UNKNOWN))


def view(service_sid: str, record: Record, chat: Record | None) -> RegistrationView:
    """The registration of a record that is desired."""
    attributes, extras = record.attributes, record.extras
    notify_sid = record.visible_sid(Channel.NOTIFY)
    chat_sid = chat.visible_sid(Channel.CHAT) if chat else None
    channels = _CHANNELS[record.channels]
    return RegistrationView(
        id=str(RegistrationId(record.fingerprint, record.generation)),
        state=state_of(record),
        version=record.generation,
        service_sid=service_sid,
        identity=attributes.identity,
        user_sid=user_sid(record.owner),
        binding_type=record.type.value,
        address=record.address,
        device_id=extras.device_id,
        tags=attributes.tags,
        credential_sid=attributes.credential_sid,
        notification_protocol_version=attributes.protocol_version,
        channels=channels,
        chat=ChatView(endpoint=extras.endpoint, message_types=extras.message_types)
        if "chat" in channels and extras.endpoint
        else None,
        bindings=BindingSids(
            notify=str(notify_sid) if notify_sid else None,
            chat=str(chat_sid) if chat_sid else None,
        ),
        created_at=_time(record.created),
        updated_at=_time(record.updated),
        last_seen_at=_time(record.seen),
    )


def past_view(service_sid: str, id_: RegistrationId, state: PastState) -> PastRegistrationView:
    """A registration that is no longer desired."""
    return PastRegistrationView(id=str(id_), state=state, version=id_.generation, service_sid=service_sid)


@lru_cache(maxsize=4096)
def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
