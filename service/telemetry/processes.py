"""Memory, CPU time and open files of this process, or of all that keep their metrics together, each with its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from prometheus_client import Metric, ProcessCollector
from prometheus_client.registry import Collector

from service.telemetry.shared import folder, process_name

_SUFFIX = ".pid"


class Processes(Collector):
    """The client library's own metrics of a process, with labels: ``part`` as in ``bindery_build_info``, and, where
    several keep their metrics together, ``process``.
    """

    def __init__(self) -> None:
        self._part = ""

    def introduce(self, part: str) -> None:
        """Say what this process is, and, to those with whom it keeps its metrics together, where to look for it."""
        self._part = part
        shared = folder()
        if shared is not None:
            # On a full disk it is missing in what is shown, and runs all the same.
            with contextlib.suppress(OSError):
                (Path(shared) / (process_name() + _SUFFIX)).write_text(str(os.getpid()))

    def collect(self) -> Iterable[Metric]:
        """Every process's, where there is a /proc."""
        found: dict[str, Metric] = {}
        for pid, labels in self._processes():
            for metric in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                family = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                family.samples += [sample._replace(labels=labels) for sample in metric.samples]
        return found.values()

    def _processes(self) -> Iterator[tuple[str, dict[str, str]]]:
        shared = folder()
        if shared is None:
            yield "self", {"part": self._part}
            return
        for path in sorted(Path(shared).glob(f"*{_SUFFIX}")):
            pid = path.read_text()
            if pid and _is_sibling(pid):
                # Called as `bindery up` calls its children: api-1, worker-2.
                yield pid, {"part": path.stem.partition("-")[0], "process": path.stem}


def _is_sibling(pid: str) -> bool:
    """Whether it still runs, and its number was not given to somebody else."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return said.rpartition(")")[2].split()[1] == str(os.getppid())


processes = Processes()
"""What this process shows."""
