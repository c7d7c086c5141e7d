"""Where the listening socket, bound once by the supervisor, is reached."""

import socket


def local_address(listening: socket.socket) -> tuple[str, int]:
    """Host and port by which this machine reaches it: an any-address becomes the loopback."""
    host, port = listening.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104  # translated, not bound


def url(host: str, port: int) -> str:
    """The base URL of an API at that address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
