"""The machine that containers run in, and the image, built once for all these tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.deploy.image.building import Built, build
from tests.deploy.image.machine import Machine, Unavailable, machine


@pytest.fixture(scope="session")
def image() -> Built:
    """The image, in the machine's storage. Where containers can't be run that is a skip, and in CI a failure."""
    try:
        with machine(network=True) as building:
            return build(building)
    except Unavailable as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def containers(image: Built) -> Iterator[Machine]:  # noqa: ARG001  # it must be there
    """The machine with a network of its own, in which nothing of this machine's can be reached."""
    with machine(network=False) as running:
        yield running
