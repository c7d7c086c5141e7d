"""A peer: django-push-notifications behind Django REST Framework, set up as its documentation says, under gunicorn.

Two gunicorn workers with threads and lasting database connections, against one API process and one worker of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.benchmarks import deployment as wire
from tests.benchmarks.cases import Case
from tests.benchmarks.devices import Device, devices
from tests.benchmarks.load import Result
from tests.benchmarks.measuring import Endpoint, Plan
from tests.benchmarks.peers.postgres import postgres
from tests.benchmarks.processes import Program, python, wait_for_answer
from tests.servers.valkey import free_port

_SETTINGS = "tests.benchmarks.peers.django_push.settings"
_DATABASE = "tests.benchmarks.peers.django_push.database"
_LABEL = "django"


@contextmanager
def case(name: str, folder: Path, count: int, rounds: int) -> Iterator[Case]:
    """The peer, running: each round registers ``count`` devices that it has never seen."""
    log = folder / "django.log"
    with postgres(folder) as database:
        environ = {"DJANGO_SETTINGS_MODULE": _SETTINGS, "PEER_JWT_SECRET": wire.JWT_SECRET, **database.environ}
        _manage("make", count * rounds, environ, log)
        port = free_port()
        argv = ("-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "4")
        more = (
            "--worker-class",
            "gthread",
            "--keep-alive",
            "60",
            "--graceful-timeout",
            "1",
            "tests.benchmarks.peers.django_push.wsgi",
        )
        with Program(python(*argv, *more), log, environ=environ) as program:
            wait_for_answer(port, "/livez", program)
            endpoint = Endpoint(port, lambda: {"api": program.cpu_seconds(), "database": database.cpu_seconds()})

            async def prepare(number: int) -> Plan:
                fresh = devices(_LABEL, count, first=number * count)

                async def verify(_: Result) -> None:
                    _manage("check", (number + 1) * count, environ, log)

                return Plan(requests=[_registration(device) for device in fresh], status=201, verify=verify)

            yield Case(name, endpoint, prepare)


def _registration(device: Device) -> bytes:
    body = msgspec.json.encode({"registration_id": device.address, "device_id": device.device_id})
    return wire.http("POST", "/device/apns/", wire.bearer(device.identity), body)


def _manage(what: str, count: int, environ: dict[str, str], log: Path) -> None:
    with Program(python("-m", _DATABASE, what, _LABEL, str(count)), log, environ=environ) as program:
        if program.wait() != 0:
            raise AssertionError(f"the peer's database: {program.output}")
