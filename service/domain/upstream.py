"""What is to be done about an address at an upstream: desired state against what is known of it there. Pure.

Level-triggered: nothing here asks what has happened, only what is wanted and what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from service.domain.addresses import BindingType
from service.domain.record import Attributes, Channel, Record, State
from service.domain.sids import BindingSid

_PATIENT_TRIES = 5
"""Of the binding in its place, before that of another identity goes without it: some fifteen seconds."""


class Held(msgspec.Struct, frozen=True):
    """A binding that an upstream holds, or is known to have held when it was last heard of."""

    sid: BindingSid
    kind: BindingType
    attributes: Attributes


class Agreed(msgspec.Struct, frozen=True):
    """The upstream holds what is desired: ``binding``, or nothing. ``extra`` are to be deleted."""

    binding: Held | None
    extra: tuple[BindingSid, ...] = ()


class Create(msgspec.Struct, frozen=True):
    """The desired binding is to be created. It replaces whatever holds the address there."""


class Wait(msgspec.Struct, frozen=True):
    """The binding that takes this one's place on its device comes first."""


Decision: TypeAlias = Agreed | Create | Wait


def decide(record: Record, listed: Sequence[Held] | None, successor: Record | None = None) -> Decision:
    """What to do about a record's address.

    ``listed`` is what a list shows of the address now; None if there was no need to ask, since nothing is in doubt.
    ``successor`` is the registration that has taken this one's place on its device.
    """
    known = [Held(t.sid, t.kind, t.attributes) for t in record.traces if t.sid] if listed is None else list(listed)
    if not record.channels & Channel.NOTIFY:
        # What was somebody else's does not wait for ever: it reaches the device of who has it now.
        patient = successor is not None and (successor.owner == record.owner or successor.attempts < _PATIENT_TRIES)
        if known and successor is not None and patient and is_first(successor):
            return Wait()
        return Agreed(None, tuple(held.sid for held in known))
    for held in known:
        if held.kind is record.type and agree(record.attributes, held.attributes):
            return Agreed(held, tuple(other.sid for other in known if other.sid != held.sid))
    return Create()


def is_first(successor: Record) -> bool:
    """Whether a device's new binding is still to come, and there is room for it."""
    return (
        bool(successor.channels & Channel.NOTIFY)
        and successor.notify in (State.PENDING, State.UNKNOWN)
        and not successor.full
    )


def agree(desired: Attributes, held: Attributes) -> bool:
    """Whether a binding is as desired; what a registration leaves open of its protocol is the upstream's choice."""
    return (
        desired.identity == held.identity
        and set(desired.tags) == set(held.tags)
        and desired.credential_sid == held.credential_sid
        and desired.protocol_version in (None, held.protocol_version)
    )


def identities(record: Record) -> list[str]:
    """Under whom an upstream may hold the address of a record."""
    return list(dict.fromkeys([record.attributes.identity, *(t.attributes.identity for t in record.traces)]))
