"""Bindings as upstreams show them, in the form in which they can be adopted."""

from __future__ import annotations

from datetime import datetime

from service.backends.twilio import ChatBinding, NotifyBinding
from service.domain.addresses import BindingType, canonical
from service.domain.record import Attributes, Channel
from service.domain.sids import BindingSid
from service.store.adoptions import Found


def notify_found(binding: NotifyBinding) -> Found | None:
    """A Notify binding; None for one that cannot be kept here: of an unknown type, or without a SID or address."""
    sid, kind = BindingSid.parse(binding.sid), _kind(binding.binding_type)
    address = canonical(kind, binding.address) if kind else ""
    if sid is None or kind is None or not address:
        return None
    return Found(
        channel=Channel.NOTIFY,
        sid=sid,
        kind=kind,
        address=address,
        attributes=Attributes(
            binding.identity, binding.tags or (), binding.credential_sid, binding.notification_protocol_version
        ),
        created=_seconds(binding.date_created or binding.date_updated),
        updated=_seconds(binding.date_updated or binding.date_created),
    )


def chat_found(binding: ChatBinding) -> Found | None:
    """A Chat binding, likewise."""
    sid, kind = BindingSid.parse(binding.sid), _kind(binding.binding_type)
    if sid is None or kind is None or not kind.push or not binding.endpoint:
        return None
    return Found(
        channel=Channel.CHAT,
        sid=sid,
        kind=kind,
        address=binding.endpoint,
        attributes=Attributes(
            binding.identity, credential_sid=binding.credential_sid, message_types=binding.message_types
        ),
        created=_seconds(binding.date_created or binding.date_updated),
        updated=_seconds(binding.date_updated or binding.date_created),
    )


def _kind(name: str) -> BindingType | None:
    try:
        return BindingType(name)
    except ValueError:
        return None


def _seconds(at: datetime | None) -> int:
    return max(0, int(at.timestamp())) if at else 0
