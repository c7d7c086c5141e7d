"""What an upstream has been asked for lately, and what it is to be asked for: shared by all processes of a Service."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from service.domain.sids import BindingSid
from service.store.section import Section

CLAIM_MS = 15_000
"""What a process that has taken it upon itself to ask may take, before another one does."""

_OWED, _FAILED = b"60000", b"1000"
"""Milliseconds for which nobody waits for what workers will list, nor tries again what they won't."""

_PUT_OFF_MS = 120_000
"""Less than what the script takes for a clock that was set back."""


class Standing(Enum):
    """How it stands with an answer of the upstream."""

    CLAIMED = b"c"
    """There is none: the caller is to ask, and nobody else does."""
    AWAITED = b"w"
    """Somebody else is asking."""
    OWED = b"o"
    """It is known to take long; workers see to it."""
    FRESH = b"f"
    """It still counts."""


class Asked(msgspec.Struct, frozen=True):
    """Something to ask the upstream for: the bindings of an identity, or the binding of a SID."""

    name: bytes
    identity: str = ""

    @classmethod
    def sid(cls, sid: BindingSid) -> Asked:
        """The binding of a SID."""
        return cls(b"s" + sid.raw)


class Work(msgspec.Struct, frozen=True):
    """Identities that were taken to be listed; ``began`` is when, in milliseconds of the store's time."""

    token: bytes
    began: int
    identities: list[str]


class Listings:
    """Of one Service. Every method raises StoreUnavailable, StoreFull and TooManyRequests."""

    def __init__(self, section: Section, *, listed_ms: int, empty_ms: int) -> None:
        self._section = section
        self._listed_ms = b"%d" % listed_ms
        self._empty_ms = b"%d" % empty_ms

    def of(self, identity: str) -> Asked:
        """The bindings of an identity."""
        return Asked(b"o" + self._section.fingerprints.owner(identity), identity)

    async def claim(self, asked: Sequence[Asked]) -> tuple[int, list[Standing]]:
        """How it stands with each; and when this was, in milliseconds by the store's clock."""
        now, *found = await self._section.run("lists", b"claim", b"%d" % CLAIM_MS, *(one.name for one in asked))
        return int(now), [Standing(state) for state in found]

    async def done(self, began: int, asked: Sequence[Asked], empty: Sequence[bool], *, token: bytes = b"") -> None:
        """They were asked for at ``began``, claimed or under ``token``, and what there is is known here."""
        if not asked:
            return
        lifetimes = (self._empty_ms if nothing else self._listed_ms for nothing in empty)
        rows = ((one.name, one.identity.encode(), lifetime) for one, lifetime in zip(asked, lifetimes, strict=True))
        await self._section.run("lists", b"done", b"%d" % began, token, *(part for row in rows for part in row))

    async def put_off(self, identities: Sequence[str], *, token: bytes) -> None:
        """What was taken under ``token`` could not be listed, for a fault of its own: no sooner than in a while."""
        if identities:
            names = (identity.encode() for identity in identities)
            await self._section.run("lists", b"put_off", token, b"%d" % _PUT_OFF_MS, *names)

    async def owe(self, asked: Sequence[Asked], *, failed: bool) -> None:
        """Have workers list these identities: since asking has ``failed``, or since what there was counts no more."""
        rows = (
            (one.name, one.identity.encode(), (_OWED if one.identity else _FAILED) if failed else b"") for one in asked
        )
        await self._section.run("lists", b"owe", *(part for row in rows for part in row))

    async def take(self, limit: int, lease_ms: int) -> Work | None:
        """Identities that workers are to list; they are due again after the lease."""
        reply = await self._section.run("lists", b"take", b"%d" % limit, b"%d" % lease_ms)
        if not reply:
            return None
        return Work(reply[0], int(reply[1]), [identity.decode() for identity in reply[2:]])
