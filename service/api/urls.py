"""URLs in answers lead back to the server that answered.

The SDKs ask for ``next_page_url`` as it is, so a wrong host would send them, and their credentials, elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import quote, urlencode, urlsplit

from litestar import Request
from litestar.datastructures import State

from service.api.headers import joined
from service.settings import Settings

AnyRequest = Request[object, object, State]

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_MOUNTS = ("/notify", "/chat", "/conversations")


def base_url(request: AnyRequest) -> str:
    """What stands before ``/v1`` or ``/v2`` in the URLs of an answer: the public URL, and the prefix asked under."""
    settings: Settings = request.app.state.settings
    mount = next((p for p in _MOUNTS if request.scope["path"].startswith(p + "/")), "")
    return (settings.public_url or _from_request(request, settings)) + mount


def prefix(request: AnyRequest) -> str:
    """The path before ``/v1``, for a URL without a host: one that a proxy has changed unsaid leads nobody astray."""
    settings: Settings = request.app.state.settings
    if settings.public_url:
        return urlsplit(settings.public_url).path
    return _forwarded_prefix(request) if _is_proxied(request, settings) else ""


def host(request: AnyRequest) -> str:
    """The host that the client asked, as it says itself, or as a trusted proxy does; it may be nonsense."""
    settings: Settings = request.app.state.settings
    return _host(request, proxied=_is_proxied(request, settings))


def _from_request(request: AnyRequest, settings: Settings) -> str:
    scheme, path, proxied = request.scope["scheme"], "", _is_proxied(request, settings)
    if proxied:
        forwarded = _nearest(joined(request.scope, b"x-forwarded-proto") or "").lower()
        scheme = forwarded if forwarded in {"http", "https"} else scheme
        path = _forwarded_prefix(request)
    named = _host(request, proxied=proxied)
    return f"{scheme}://{named if _HOST.fullmatch(named) else _listening(request)}{path}"


def _forwarded_prefix(request: AnyRequest) -> str:
    forwarded = _nearest(joined(request.scope, b"x-forwarded-prefix") or "").rstrip("/")
    return forwarded if _PREFIX.fullmatch(forwarded) else ""


def _host(request: AnyRequest, *, proxied: bool) -> str:
    if proxied:
        forwarded = _nearest(joined(request.scope, b"x-forwarded-host") or "")
        if _HOST.fullmatch(forwarded):
            return forwarded
    return request.headers.get("host", "")


def _is_proxied(request: AnyRequest, settings: Settings) -> bool:
    return bool(settings.trusted_proxies) and _trusted(request.scope["client"], settings)


def _nearest(header: str) -> str:
    # Proxies append: what the one next to us says comes last.
    return header.rpartition(",")[2].strip()


def _trusted(client: Sequence[object] | None, settings: Settings) -> bool:
    try:
        address = ipaddress.ip_address(str(client[0]) if client else "")
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in settings.trusted_proxies)


def _listening(request: AnyRequest) -> str:
    host, port = request.scope.get("server") or ("localhost", None)
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{port}" if port else name


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def query(pairs: Sequence[tuple[str, str]]) -> str:
    """A query string; spaces as ``%20``, which every decoder reads alike."""
    return urlencode(pairs, quote_via=quote, safe="")
