"""What a process says of itself to those with whom it keeps its metrics together."""

from __future__ import annotations

import pytest

from service.telemetry.processes import Processes
from service.telemetry.shared import FOLDER


def test_a_process_that_cannot_say_so_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk it is missing in what is shown."""
    monkeypatch.setenv(FOLDER, "/dev/full")
    Processes().introduce("api")
