"""Errors in the vendor's form: ``{code, message, more_info, status}``.

Never with both ``type`` and ``title``: the SDKs would then read them as RFC 9457 problems.
Source: https://www.twilio.com/docs/usage/twilios-response (Errors and exceptions).
"""

from __future__ import annotations

from service.domain.errors import BinderyError, CapReached, NotFound, Unauthenticated


def status_of(error: BinderyError) -> int:
    """The HTTP status of an error on these routes: the vendor answers a reached cap with 400."""
    return 400 if isinstance(error, CapReached) else error.status


def error_body(error: BinderyError, path: str) -> dict[str, object]:
    """The answer to an error; ``path`` is that of the request, without its query."""
    match error:
        case NotFound():
            message = f"The requested resource {path.partition('?')[0]} was not found"
        case Unauthenticated():
            # Which part of the credentials did not hold is nobody's business.
            message = error.title
        case _:
            message = error.detail
    return {
        "code": error.code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{error.code}",
        "status": status_of(error),
    }
