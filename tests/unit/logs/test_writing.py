"""Where lines are written to, and what becomes of them where they cannot be."""

from __future__ import annotations

import errno
import io
import logging
import sys

import pytest
import structlog

from service.logs import Line, configure, info
from service.settings import load
from tests.unit.settings.test_loading import LEAST


class Happened(Line, tag_field="event", tag="happened"):
    """A line whose fields are fixed."""


class Full(io.StringIO):
    """A standard error whose disk is full."""

    def write(self, text: str) -> int:  # noqa: ARG002  # it goes nowhere
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def log() -> None:
    """A line by each of the ways that there are."""
    info(Happened())
    structlog.get_logger("ours").error("happened")
    logging.getLogger("theirs").error("happened")


@pytest.mark.parametrize("how", ["json", "text"])
def test_a_line_that_cannot_be_written_ends_nothing(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not worth a request, a job or a process; what comes once there is room again is written."""
    configure(load({**LEAST, "BINDERY_LOG_FORMAT": how}))
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", Full())
        log()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", again := io.StringIO())
        log()
    assert len(again.getvalue().splitlines()) == 3
