"""Which Chat bindings of an identity are kept at an upstream, and why the others go. Pure.

Apps' SDKs create them there, so that all there is to decide is what must not stay: the endpoint of a device that has
logged out or belongs to somebody else, and doubles.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import Enum

import msgspec

from service.domain.fingerprints import NO_LINK
from service.domain.record import Record


class Why(Enum):
    """Why a binding stays or goes."""

    REGISTERED = "registered"
    UNKNOWN = "never registered here"
    LOGGED_OUT = "logged out, or replaced on its device"
    ELSEWHERE = "belongs to another identity"
    DOUBLED_TYPE = "doubles a registration of another type"
    DUPLICATE = "a newer one is the same"
    STRANGE = "never registered here, and this Service is strict"


_KEPT = frozenset({Why.REGISTERED, Why.UNKNOWN})


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A Chat binding as the upstream lists it."""

    sid: str
    endpoint: str
    binding_type: str
    updated: datetime | None = None


class Judgement(msgspec.Struct, frozen=True):
    """What becomes of one binding."""

    binding: Listed
    why: Why

    @property
    def kept(self) -> bool:
        """Whether it stays."""
        return self.why in _KEPT


def judge(
    listed: Sequence[Listed],
    noted: Sequence[Record],
    elsewhere: Collection[str],
    *,
    strict: bool,
    logged_out: int = 0,
    undone: int = 0,
) -> list[Judgement]:
    """A judgement on each listed binding of one identity, newest first.

    ``noted`` are the identity's Chat bindings here, those to be removed included (adopted ones, which no registration
    stands for, say nothing); ``elsewhere`` the listed endpoints that another identity has registered. ``logged_out`` is
    the second in which the identity was last logged out as a whole, 0 for none; ``undone``, while a cut-over is being
    undone, when it was made: what is there from before, and noted here no more, has been given up since.
    """
    live = {record.address: record.type.value for record in noted if record.channels and record.link != NO_LINK}
    known = {record.address for record in noted if record.channels}
    ended = {record.address for record in noted if not record.channels}
    both = {(binding.endpoint, binding.binding_type) for binding in listed}
    seen: set[tuple[str, str]] = set()
    judged = []
    # Pages that shift while they are walked may show one twice.
    for binding in sorted({one.sid: one for one in listed}.values(), key=age, reverse=True):
        key = binding.endpoint, binding.binding_type
        registered = live.get(binding.endpoint)
        if key in seen:
            why = Why.DUPLICATE
        elif registered == binding.binding_type:
            why = Why.REGISTERED
        elif registered is not None:
            # While it is the only one there, it is what reaches the device.
            why = Why.DOUBLED_TYPE if (binding.endpoint, registered) in both else Why.REGISTERED
        elif binding.endpoint in elsewhere:
            why = Why.ELSEWHERE
        elif (
            binding.endpoint in ended
            or (logged_out and int(age(binding)[0]) <= logged_out)
            or (undone and binding.endpoint not in known and int(age(binding)[0]) <= undone)
        ):
            why = Why.LOGGED_OUT
        else:
            why = Why.STRANGE if strict else Why.UNKNOWN
        seen.add(key)
        judged.append(Judgement(binding, why))
    return judged


def age(binding: Listed) -> tuple[float, str]:
    """When it was made or changed last, in seconds, 0 if that is not known; and what orders those of one time."""
    return (binding.updated.timestamp() if binding.updated else 0.0, binding.sid)
