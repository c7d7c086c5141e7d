"""Python imports this at its start where ``PYTHONPATH`` names this folder: the process then goes by a clock of a test.

``STEPPED_CLOCK`` names a file of eight bytes, the seconds to add to the machine's clock as a double; it is mapped, so
that a step shows at once. All that Python code can ask for the time of day is shifted: `time`, `datetime`, and whatever
imports from them. Monotonic clocks, which durations and timers go by, are left alone.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import gc
import mmap
import os
import struct
import time

with open(os.environ["STEPPED_CLOCK"], "rb") as _file:  # noqa: PTH123  # pathlib is not needed otherwise, this early
    _offset = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)

_time, _time_ns, _clock_gettime, _clock_gettime_ns = time.time, time.time_ns, time.clock_gettime, time.clock_gettime_ns
_localtime, _gmtime, _ctime = time.localtime, time.gmtime, time.ctime


def _seconds() -> float:
    seconds: float = struct.unpack_from("d", _offset)[0]
    return seconds


def _nanoseconds() -> int:
    return int(_seconds() * 1_000_000_000)


def _now(cls: type[dt.datetime], tz: dt.tzinfo | None = None) -> dt.datetime:
    return cls.fromtimestamp(time.time(), tz)


def _today(cls: type[dt.date]) -> dt.date:
    return cls.fromtimestamp(time.time())


time.time = lambda: _time() + _seconds()
time.time_ns = lambda: _time_ns() + _nanoseconds()
time.clock_gettime = lambda clock: _clock_gettime(clock) + (_seconds() if clock == time.CLOCK_REALTIME else 0)
time.clock_gettime_ns = lambda clock: _clock_gettime_ns(clock) + (_nanoseconds() if clock == time.CLOCK_REALTIME else 0)
time.localtime = lambda seconds=None: _localtime(time.time() if seconds is None else seconds)
time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)
time.ctime = lambda seconds=None: _ctime(time.time() if seconds is None else seconds)

# The classes of `datetime` take no new attributes, and subclasses in their place would be other types to whoever
# declares fields by them: so their methods are replaced where they lie.
for _type, _methods in (
    (dt.date, {"today": _today}),
    (dt.datetime, {"now": _now, "today": _now, "utcnow": _now}),
):
    gc.get_referents(_type.__dict__)[0].update({name: classmethod(method) for name, method in _methods.items()})
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(_type))
