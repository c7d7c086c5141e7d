"""`bindery api`: one API process."""

import contextlib
import gc
import os
import signal
import socket
import sys

import click

from service.cli.local import loaded
from service.settings.loading import LISTEN_FD

_OBJECTS = 10_000
"""So many new objects between two looks of the garbage collector."""


@click.command("api")
def command() -> None:
    """Run one API process (settings from the environment).

    Exit status: 0 stopped, 1 the store refused us, 2 the settings are at fault, 3 anything else.
    """
    settings = loaded(dict(os.environ))
    import uvicorn  # late: other commands start without the server

    from service import lifecycle
    from service.cli.bounded_http import BoundedHttpProtocol
    from service.cli.server import Server

    fd = os.environ.pop(LISTEN_FD, None)
    config = uvicorn.Config(
        "service.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        date_header=True,
        log_config=None,
        # Forwarded headers are believed from BINDERY_TRUSTED_PROXIES alone, and by the routes themselves.
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=settings.shutdown_grace,
    )
    # Requests leave next to no cycles behind: looking for them after every 700 objects is work for nothing.
    gc.set_threshold(_OBJECTS, 20, 20)
    server = Server(config, delay=settings.shutdown_delay, lifecycle=lifecycle.process)
    # uvicorn stops gracefully, then raises the signal again: with these that is a clean end, status 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.end)
    # uvicorn's own `fd` takes the socket for a Unix one; handed over as an object it keeps its family.
    with contextlib.suppress(SystemExit):  # its own status, if it does not come to serve
        server.run(sockets=None if fd is None else [socket.socket(fileno=int(fd))])
    if not server.started:
        sys.exit(1 if lifecycle.process.refused else 3)
