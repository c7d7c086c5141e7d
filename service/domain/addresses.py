"""Addresses: the forms that push providers give out, and the one canonical form that we keep.

Sources: Apple's "Registering your app with APNs" (tokens are opaque and of variable length), Firebase's registration
token and installation id formats, ITU-T E.164.
"""

from __future__ import annotations

import re
from enum import Enum

from service.domain import limits
from service.domain.errors import InvalidInput


class BindingType(Enum):
    """The transport of a binding; the values are the wire's."""

    APN = "apn"
    FCM = "fcm"
    GCM = "gcm"
    SMS = "sms"
    MESSENGER = "facebook-messenger"
    ALEXA = "alexa"

    @property
    def code(self) -> int:
        """The number that stands for the type in a record."""
        return _CODES[self]

    @property
    def push(self) -> bool:
        """Whether it reaches an app installation, and so ends with a logout (contract 7)."""
        return self in PUSH_TYPES

    @classmethod
    def of(cls, code: int) -> BindingType:
        """The type that a record's number stands for."""
        return _TYPES[code]


_CODES = {t: n for n, t in enumerate(BindingType, start=1)}
_TYPES = {n: t for t, n in _CODES.items()}
PUSH_TYPES = frozenset({BindingType.APN, BindingType.FCM, BindingType.GCM})

_HEX = re.compile(r"[0-9a-fA-F]+")
_FCM = re.compile(r"[A-Za-z0-9_:-]{1,4096}")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_DECORATION = str.maketrans("", "", "<> ")

_RULES = {
    BindingType.APN: "must be an APNs device token: an even number of hex digits, 64 to 200",
    BindingType.FCM: "must be an FCM registration token or a Firebase installation id",
    BindingType.GCM: "must be an FCM registration token or a Firebase installation id",
    BindingType.SMS: "must be a phone number in E.164 form, such as +15005550006",
    BindingType.MESSENGER: "must be a Messenger id of printable characters without spaces",
    BindingType.ALEXA: "must be an Alexa id of printable characters without spaces",
}


def canonical(kind: BindingType, address: str) -> str:
    """The form under which an address is kept and compared.

    The case of an APNs token's hex digits means nothing and ``<``, ``>`` and spaces decorate it; everything else is
    kept as it came, since FCM tokens are case-sensitive.
    """
    if kind is BindingType.APN:
        bare = address if _HEX.fullmatch(address) else address.translate(_DECORATION)
        if _HEX.fullmatch(bare):
            return bare.lower()
    return address


def spellings(address: str) -> tuple[str, ...]:
    """Every canonical form that an address of unknown type may be kept under: verbatim, and folded if it is hex."""
    return tuple(dict.fromkeys((address, canonical(BindingType.APN, address))))


def check_form(kind: BindingType, address: str, field: str = "address") -> None:
    """Refuse a canonical address that no provider of this type would give out.

    Raises:
        InvalidInput: naming ``field`` and the rule, never the address.
    """
    if not well_formed(kind, address):
        raise InvalidInput(field, _RULES[kind])


def well_formed(kind: BindingType, address: str) -> bool:
    """Whether a canonical address has a form that providers of this type give out."""
    match kind:
        case BindingType.APN:
            return 64 <= len(address) <= 200 and len(address) % 2 == 0 and _HEX.fullmatch(address) is not None
        case BindingType.FCM | BindingType.GCM:
            return _FCM.fullmatch(address) is not None
        case BindingType.SMS:
            return _E164.fullmatch(address) is not None
        case BindingType.MESSENGER | BindingType.ALEXA:
            return (
                len(address) <= limits.ADDRESS_LENGTH and address.isprintable() and " " not in address and address != ""
            )
