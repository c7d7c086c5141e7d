"""What `bindery up` runs is started again when it dies."""

import contextlib
import os
import signal

import httpx
import pytest

from tests.e2e.up.conftest import Up


@pytest.mark.parametrize(("kind", "name"), [("api", "api 1"), ("worker", "worker 1"), ("valkey", "valkey")])
def test_a_child_that_dies_is_started_again_visibly(up: Up, kind: str, name: str) -> None:
    """A line names the child, how it ended and the delay; then it serves again."""
    url = up.url()
    before = up.children()[kind]
    os.kill(before, signal.SIGKILL)
    up.line(rf"bindery: {name} was ended by SIGKILL; starting it again in 0\.5 s")
    with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                serves = client.get(f"{url}/readyz").status_code == 200
                if serves and up.children().get(kind, before) != before:
                    break
            assert up.process.poll() is None
