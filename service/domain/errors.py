"""Every error that a caller can be answered with: its problem type, HTTP status, Twilio code, and whether to try again.

The native routes answer these as RFC 9457 problems, the compatible routes as ``{code, message, more_info, status}``.
Codes are the vendor's (https://www.twilio.com/docs/api/errors).
"""

from __future__ import annotations

from typing import ClassVar


class BinderyError(Exception):
    """Base of all answered errors; ``detail`` is safe to show: it never holds an address, device id or secret."""

    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong on our side"
    status: ClassVar[int] = 500
    code: ClassVar[int] = 20500
    retry_after: ClassVar[int | None] = None
    """Seconds after which the same request is worth another try; None where it is not."""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.title
        super().__init__(self.detail)


class InvalidInput(BinderyError):
    """A field is missing or breaks a rule; names both and repeats no value."""

    slug, title, status, code = "invalid-input", "The request is not valid", 400, 20001

    def __init__(self, field: str, rule: str) -> None:
        self.field = field
        self.rule = rule
        super().__init__(f"{field}: {rule}" if field else rule)


class BadPageToken(BinderyError):
    """A page token that this server did not make, or made for another list."""

    slug, title, status, code = "bad-page-token", "PageToken is not valid", 400, 21481


class Unauthenticated(BinderyError):
    """No credentials, or credentials that do not hold."""

    slug, title, status, code = "unauthenticated", "Authenticate", 401, 20003


class Forbidden(BinderyError):
    """Good credentials for something else."""

    slug, title, status, code = "forbidden", "This caller may not do that", 403, 20403


class NotFound(BinderyError):
    """There is no such thing, or none that this caller may see."""

    slug, title, status, code = "not-found", "The requested resource was not found", 404, 20404


class MethodNotAllowed(BinderyError):
    """The path exists, the method does not."""

    slug, title, status, code = "method-not-allowed", "Method not allowed", 405, 20004

    def __init__(self, allow: str = "") -> None:
        self.allow = allow
        super().__init__()


class RequestTimeout(BinderyError):
    """The body of the request did not come in time; nothing of it was processed."""

    slug, title, status, code = "request-timeout", "The request took too long to arrive", 408, 20001


class SessionEnded(BinderyError):
    """A logout has ended what authorised this registration (contract 6)."""

    slug, title, status, code = (
        "session-ended",
        "The session behind this registration has been logged out",
        409,
        20409,
    )


class CapReached(BinderyError):
    """The identity already holds as many Notify registrations as a Service allows it (contract 5)."""

    slug, title, status, code = (
        "cap-reached",
        "The identity has reached its limit of registrations",
        409,
        20001,
    )


class SeenSince(BinderyError):
    """The registration was made again at or after the time that the caller has named, or may have been."""

    slug, title, status, code = "seen-since", "The device has registered again since", 412, 20001


class BodyTooLarge(BinderyError):
    """The body is longer than the limit."""

    slug, title, status, code = "body-too-large", "The request body is too large", 413, 20001


class PathTooLong(BinderyError):
    """The path is longer than the limit."""

    slug, title, status, code = "path-too-long", "The path is too long", 414, 20001


class TooManyConnections(BinderyError):
    """This process has as many connections as it can bear; nothing was processed."""

    slug, title, status, code = "too-many-connections", "Too many connections", 503, 20503
    retry_after = 1


class UnsupportedMediaType(BinderyError):
    """The body is of a content type that this route does not read."""

    slug, title, status, code = "unsupported-media-type", "The content type is not supported here", 415, 20001


class TooManyRequests(BinderyError):
    """Too much is under way; nothing of this request was processed."""

    slug, title, status, code = "too-many-requests", "Too many requests", 429, 20429
    retry_after = 1


class StoreUnavailable(BinderyError):
    """The store did not answer in time. The request may have taken effect (contract 3)."""

    slug, title, status, code = "store-unavailable", "The store is not available", 503, 20503
    retry_after = 1


class StoreFull(BinderyError):
    """The store refuses new data for want of memory or disk; logouts still work."""

    slug, title, status, code = "store-full", "The store has no room", 503, 20503
    retry_after = 30


class StoreRefused(BinderyError):
    """The store belongs to a newer version, or to another secret key, or evicts; nothing may be read or written."""

    slug, title, status, code = "store-refused", "The store belongs to another version or key, or forgets", 503, 20503
    retry_after = 60


class BackendSwitched(BinderyError):
    """The Service's bindings are kept elsewhere since; what was begun for the former backend has not been written."""

    slug, title, status, code = "backend-switched", "The Service has just been switched to another backend", 503, 20503
    retry_after = 1


class UpstreamRefused(BinderyError):
    """The upstream that holds the bindings refuses this one; the detail is what it said."""

    slug, title, status, code = "upstream-refused", "The upstream has refused it", 400, 20001


class UpstreamSilent(BinderyError):
    """The upstream that holds the bindings has not confirmed it in time. It was accepted, and goes on."""

    slug, title, status, code = "upstream-silent", "The upstream has not confirmed it yet", 503, 20503
    retry_after = 5
