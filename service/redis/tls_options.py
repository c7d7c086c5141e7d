"""A URL's TLS as redis-py takes it, which the queue and the command line connect with."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl


def tls_options(url: str) -> dict[str, Any]:
    """Arguments of a client for a URL with TLS."""
    given = {name: value for name, value in parse_qsl(url.partition("?")[2]) if name.startswith("ssl_")}
    # redis-py checks no host name unless told to.
    requirement = given.setdefault("ssl_cert_reqs", "required")
    return {"ssl": True, "ssl_check_hostname": requirement == "required", **given}
