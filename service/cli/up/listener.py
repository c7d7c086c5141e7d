"""The listening socket, bound once by the supervisor, so that a busy port is known before anything starts."""

import socket


def bind(host: str, port: int) -> socket.socket:
    """A bound and listening TCP socket that children may inherit.

    Raises:
        OSError: the address is in use, or not one of this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    return listening


def local_address(listening: socket.socket) -> tuple[str, int]:
    """Host and port by which this machine reaches it: an any-address becomes the loopback."""
    host, port = listening.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104  # translated, not bound


def url(host: str, port: int) -> str:
    """The base URL of an API at that address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
