"""SIDs: two letters that name the kind, then 32 hex digits.

A binding's SID locates it: ``BS``, 24 hex digits of the fingerprint that keys its record, 8 hex digits drawn anew
for each version, so that a replaced binding's SID leads nowhere.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SID = re.compile(r"(?:AC|IS|BS|CR|US|SK)[0-9a-fA-F]{32}")


def is_sid(kind: str, text: str) -> bool:
    """Whether ``text`` is a well-formed SID of ``kind`` (``"IS"``, ``"CR"`` …)."""
    return text.startswith(kind) and _SID.fullmatch(text) is not None


class BindingSid(NamedTuple):
    """A binding's SID, taken apart. One that an upstream gave has no such parts, and locates nothing by itself."""

    fingerprint: bytes
    nonce: bytes

    def __str__(self) -> str:
        return f"BS{self.fingerprint.hex()}{self.nonce.hex()}"

    @classmethod
    def parse(cls, text: str) -> BindingSid | None:
        """The parts of a binding SID, or None if ``text`` is not one."""
        if not is_sid("BS", text):
            return None
        return cls.of(bytes.fromhex(text[2:]))

    @classmethod
    def of(cls, raw: bytes) -> BindingSid:
        """The SID of 16 bytes."""
        return cls(raw[:12], raw[12:])

    @property
    def raw(self) -> bytes:
        """Its 16 bytes."""
        return self.fingerprint + self.nonce


class RegistrationId(NamedTuple):
    """A registration's id: where its record is, and the generation that this id speaks of."""

    fingerprint: bytes
    generation: int

    def __str__(self) -> str:
        return f"{self.fingerprint.hex()}{self.generation:014x}"

    @classmethod
    def parse(cls, text: str) -> RegistrationId | None:
        """The parts of a registration id, or None if ``text`` is not one."""
        if re.fullmatch(r"[0-9a-f]{38}", text) is None:
            return None
        return cls(bytes.fromhex(text[:24]), int(text[24:], 16))


def user_sid(owner: bytes) -> str:
    """The User SID of an owner digest (16 bytes)."""
    return f"US{owner.hex()}"
