"""Reading single parameters: each refuses what breaks its rule, by name, and never repeats a value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from service.api.forms import Fields
from service.domain import limits
from service.domain.addresses import BindingType
from service.domain.errors import InvalidInput
from service.domain.sids import is_sid

_DIGITS = re.compile(r"[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PAGE_DIGITS = 9
LAST_PAGE = 10**_PAGE_DIGITS - 1
"""The highest Page that can be asked for."""


def last(fields: Fields, name: str) -> str | None:
    """The value of a parameter that has one; the last, if it came more than once."""
    values = fields.get(name)
    return values[-1] if values else None


def optional(fields: Fields, name: str, longest: int) -> str | None:
    """A text of at most ``longest`` characters; empty counts as missing."""
    value = last(fields, name)
    if value and len(value) > longest:
        raise InvalidInput(name, f"must not be longer than {longest} characters")
    return value or None


def required(fields: Fields, name: str, longest: int) -> str:
    """A text of 1 to ``longest`` characters."""
    value = optional(fields, name, longest)
    if value is None:
        raise InvalidInput(name, "is required")
    return value


def many(fields: Fields, name: str, longest: int, most: int) -> tuple[str, ...]:
    """Up to ``most`` texts of 1 to ``longest`` characters each."""
    values = fields.get(name, ())
    if len(values) > most:
        raise InvalidInput(name, f"must not be given more than {most} times")
    if not all(0 < len(value) <= longest for value in values):
        raise InvalidInput(name, f"must have 1 to {longest} characters")
    return tuple(values)


def binding_type(fields: Fields) -> BindingType:
    """The BindingType of a new binding."""
    value = required(fields, "BindingType", 32)
    try:
        return BindingType(value)
    except ValueError:
        raise InvalidInput("BindingType", _one_of(t.value for t in BindingType)) from None


def binding_types(fields: Fields, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The BindingTypes that a list is filtered by."""
    values = fields.get("BindingType", ())
    if not all(value in allowed for value in values):
        raise InvalidInput("BindingType", _one_of(allowed))
    return tuple(values)


def _one_of(values: Iterable[str]) -> str:
    return f"must be one of: {', '.join(values)}"


def credential_sid(fields: Fields) -> str | None:
    """The CredentialSid of a new binding."""
    value = last(fields, "CredentialSid") or None
    if value is not None and not is_sid("CR", value):
        raise InvalidInput("CredentialSid", "must be CR followed by 32 hex digits")
    return value


def identities(fields: Fields) -> tuple[str, ...]:
    """The identities that a list is filtered by."""
    return many(fields, "Identity", limits.IDENTITY_LENGTH, limits.LIST_FILTERS)


def day(fields: Fields, name: str) -> date | None:
    """A day in UTC."""
    value = last(fields, name)
    if value is None:
        return None
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise InvalidInput(name, "must be a date in the form YYYY-MM-DD")


def page_size(fields: Fields, default: int, most: int) -> int:
    """The PageSize: above ``most`` it is clamped, as the vendor does; the SDKs count on it."""
    value = last(fields, "PageSize")
    if value is None:
        return default
    digits = value.lstrip("0")
    if not _DIGITS.fullmatch(value) or not digits:
        raise InvalidInput("PageSize", "must be a whole number, 1 or more")
    return most if len(digits) > _PAGE_DIGITS else min(int(digits), most)


def page_number(fields: Fields) -> int:
    """The Page: the client's own count, which decides nothing."""
    value = last(fields, "Page")
    if value is None:
        return 0
    if not _DIGITS.fullmatch(value) or len(value) > _PAGE_DIGITS:
        raise InvalidInput("Page", f"must be a whole number from 0, of at most {_PAGE_DIGITS} digits")
    return int(value)
