"""URLs in answers: absolute, and leading back to the server that answered.

The SDKs ask for ``next_page_url`` as it is, so a wrong host would send them, and their credentials, elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from service.api.compatible.forms import CompatibleRequest
from service.settings import Settings

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


def base_url(request: CompatibleRequest) -> str:
    """What stands before ``/v1`` or ``/v2`` in the URLs of an answer: the public URL, and the prefix asked under."""
    settings: Settings = request.app.state.settings
    mount = next((p for p in ("/notify", "/chat") if request.scope["path"].startswith(p + "/")), "")
    return (settings.public_url or _from_request(request, settings)) + mount


def _from_request(request: CompatibleRequest, settings: Settings) -> str:
    headers = request.headers
    scheme, host, prefix = request.scope["scheme"], headers.get("host", ""), ""
    if settings.trusted_proxies and _trusted(request.scope["client"], settings):
        forwarded = _nearest(headers.get("x-forwarded-proto", "")).lower()
        scheme = forwarded if forwarded in {"http", "https"} else scheme
        forwarded = _nearest(headers.get("x-forwarded-host", ""))
        host = forwarded if _HOST.fullmatch(forwarded) else host
        forwarded = _nearest(headers.get("x-forwarded-prefix", "")).rstrip("/")
        prefix = forwarded if _PREFIX.fullmatch(forwarded) else ""
    return f"{scheme}://{host if _HOST.fullmatch(host) else _listening(request)}{prefix}"


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


def _listening(request: CompatibleRequest) -> str:
    host, port = request.scope.get("server") or ("localhost", None)
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{port}" if port else name


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def query(pairs: Iterable[tuple[str, str]]) -> str:
    """A query string; spaces as ``%20``, which every decoder reads alike."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
