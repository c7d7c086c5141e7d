"""What a call to an upstream can end with, and the one place that decides which.

What counts is whether it may have taken effect, and whether asking again can help. No text here holds an address: it
may go to the dead letters and the log.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar, Final
from urllib.parse import quote

import msgspec

LONGEST_RETRY_AFTER = 300.0
"""Seconds: what an upstream may ask for at most. It could as well be away for so long."""

_NOT_FOUND: Final = 404, 20404
"""What the API itself says of what is not there. A 404 of anybody before it says nothing."""

_BAD_REQUESTS = frozenset({400, 413, 414, 422, 431})
"""What was sent is invalid, or too long (RFC 9110, 15.5; RFC 6585, 5)."""

_ACCOUNT_SECONDS = 30.0
_MESSAGE_LENGTH, _LONGEST_READ = 200, 2000
_PIECE = 10
"""So many characters of an address, in a row, are not quoted."""


class UpstreamError(Exception):
    """Base of everything that a call can raise. ``reason`` is safe to keep and to show."""

    word: ClassVar[str] = "failed"
    """What it is counted as."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        """Seconds before which asking again is no use, if that is known."""


class NotDone(UpstreamError):
    """Certainly nothing came of it: it was not sent, or the upstream said so. Worth another try."""

    word = "not-done"


class NotItsTurn(NotDone):
    """It was held back, or the upstream did not wait for it (408): no failure of what it was for."""


class Throttled(NotDone):
    """The account makes too many requests."""

    word = "throttled"


class AccountRefused(NotDone):
    """The upstream does not accept our credentials: a fault of the settings, and of none of the bindings."""

    word = "account-refused"


class Unreachable(NotDone):
    """No connection came about."""

    word = "unreachable"


class OutcomeUnknown(UpstreamError):
    """It was, or may have been, sent, and no answer says what came of it. It may even take effect later."""

    word = "unknown"


class CutShort(OutcomeUnknown):
    """The caller gave what only reads less time than an upstream may take: no fault of the upstream's."""


class NotTheApi(OutcomeUnknown):
    """Somebody else has answered: a proxy while the API is away, a firewall, or whoever is at a wrong address."""


class Refused(UpstreamError):
    """The upstream refuses this very request: asking again cannot help."""

    word = "refused"

    def __init__(self, status: int, code: int | None, message: str) -> None:
        named = f"{status}/{code}" if code is not None else f"{status}"
        super().__init__(f"{named} {message}".rstrip())
        self.status = status
        self.code = code
        self.message = message

    @property
    def missing(self) -> bool:
        """Whether it is that there is nothing of the kind."""
        return (self.status, self.code) == _NOT_FOUND

    @property
    def bad_request(self) -> bool:
        """Whether it is what was sent that it does not take: another request may be taken."""
        return self.status in _BAD_REQUESTS


class _Body(msgspec.Struct):
    code: int | None = None
    message: str | None = None


def of_answer(status: int, body: bytes, retry_after: str | None, hidden: Iterable[str]) -> UpstreamError:
    """The error that an answer without success stands for; the values in ``hidden`` will not be quoted."""
    code, message = _read(body, tuple(value for value in hidden if value))
    refused = Refused(status, code, message)
    seconds = _seconds(retry_after)
    if status < 400 or (status == _NOT_FOUND[0] and not refused.missing):
        return NotTheApi(refused.reason, seconds)
    match status:
        case 429:
            return Throttled(refused.reason, seconds)
        case 401 | 403 if status == 401 or code is not None:
            # A 403 of the API itself, with a code, is about the account; a firewall's, about a request's content.
            return AccountRefused(refused.reason, max(_ACCOUNT_SECONDS, seconds or 0.0))
        case 408:
            return NotItsTurn(refused.reason, seconds)
    if status >= 500:
        return OutcomeUnknown(refused.reason, seconds)
    # Without its code only what is wrong with a request by itself is final: a page that says that the API is away
    # answers 405 to whatever is sent to it, a proxy 407, and either ends.
    return refused if code is not None or refused.bad_request else NotTheApi(refused.reason, seconds)


def _read(body: bytes, hidden: tuple[str, ...]) -> tuple[int | None, str]:
    try:
        read = msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None, ""
    return read.code, _without((read.message or "")[:_LONGEST_READ], hidden)[:_MESSAGE_LENGTH]


def _without(message: str, hidden: tuple[str, ...]) -> str:
    # As it was sent, too: a form is quoted as it is encoded.
    spellings = sorted({spelt for value in hidden for spelt in (value, quote(value, safe=""))}, key=len, reverse=True)
    for spelt in spellings:
        message = re.sub(re.escape(spelt), "…", message, flags=re.IGNORECASE)
    # An address may also be quoted cut short, or run together with other words.
    folded = [_folded(spelt) for spelt in spellings]
    pieces = {spelt[n : n + _PIECE] for spelt in folded for n in range(len(spelt) - _PIECE + 1)}
    told, read, parts = _folded(message), 0, list[str]()
    for n in range(len(told) - _PIECE + 1):
        if told[n : n + _PIECE] in pieces:
            if n > read or not parts:
                parts += [message[read:n], "…"]
            read = n + _PIECE
    return "".join([*parts, message[read:]])


def _folded(text: str) -> str:
    """In one case, and as long as it was."""
    return "".join(lower if len(lower := c.lower()) == 1 else c for c in text)


def _seconds(retry_after: str | None) -> float | None:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3), None without a usable one."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            at = parsedate_to_datetime(retry_after)
        except (ValueError, OverflowError):
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None
