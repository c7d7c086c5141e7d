"""The soak in small: its turns follow one another on the same deployment, and it reports."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tests.faults import soak
from tests.faults.soak_report import Turn
from tests.faults.test_random_faults import kill_everything, pause_valkey, pause_worker_past_its_lease

pytestmark = pytest.mark.slow

LONG = (kill_everything, pause_valkey, pause_worker_past_its_lease)
"""What takes more than its share of the time."""


def test_turns_follow_one_another_and_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two turns of a few seconds: operations, faults, no violation, a report as text and as JSON."""
    monkeypatch.setattr(soak, "TURN_SECONDS", 3.0)
    monkeypatch.setattr(soak, "REST", (0.1, 0.5))
    monkeypatch.setattr(soak, "FAULTS", [fault for fault in soak.FAULTS if fault not in LONG])
    run = CliRunner().invoke(
        soak.main, ["--seconds", "5", "--turns", "2", "--out", str(tmp_path)], catch_exceptions=False
    )
    assert run.exit_code == 0, run.output
    turns = msgspec.json.decode((tmp_path / "soak.json").read_bytes(), type=list[Turn])
    assert len(turns) >= 2
    assert all(turn.outcomes["done"] > 100 and not turn.violations for turn in turns)
    assert sum(len(turn.struck) for turn in turns) >= 2
    assert "violations 0" in (tmp_path / "soak.txt").read_text()
