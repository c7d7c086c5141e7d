"""Logs: one structlog pipeline for API and workers; JSON where machines read it, lines where people do.

What may not be logged (addresses, device ids, query strings) is never handed to a logger. An exception is shown by
where it happened and its class; its text only if the class is ours, since any other may quote the value at fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
import traceback
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from service.settings import Settings

_QUIET = ("arq", "asyncio", "uvicorn", "litestar")
_OURS = ("service.", "workers.")


class Line(msgspec.Struct):
    """A line whose fields are fixed. Where lines are JSON it takes a tenth of the pipeline's time to write one.

    Made with ``tag_field="event"``; ``timestamp`` is set when it is written.
    """

    level: str = "info"
    timestamp: str = ""


class _StandardError:
    """Standard error, where what cannot be written is dropped: its disk is full, or its reader has died.

    A line is not worth a request, a job or a process. What comes once there is room again is written.
    """

    def write(self, text: str) -> int:
        try:
            return sys.stderr.write(text)
        except (OSError, ValueError):
            return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


_out = cast(TextIO, _StandardError())


def info(line: Line) -> None:
    """Write a line, if lines of its level are written at all."""
    _write_info(line)


def configure(settings: Settings, *, for_good: bool = True) -> None:
    """Set up logging for this process, libraries included: their warnings and errors join the same pipeline.

    ``for_good``, a logger keeps what it finds at its first line: that is faster, and no later call changes it.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    readable = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        render_exception,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if readable else _as_json,
    ]
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_out),
        cache_logger_on_first_use=for_good,
    )
    global _write_info  # set up once per process, like the rest of what is configured here
    _write_info = _discard if level > logging.INFO else _through_pipeline if readable else _as_it_is
    *before, renderer = shared
    handler = logging.StreamHandler(_out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG001  # asyncio's
    """For ``loop.set_exception_handler``: asyncio's own handler prints the exception's text, in the task's repr."""
    structlog.get_logger("asyncio").error(
        "unhandled_in_loop", what=context["message"], exc_info=context.get("exception")
    )


def render_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001  # structlog's
    """Processor: ``exc_info`` becomes ``exception``, without values."""
    error = _error_of(event.pop("exc_info", None))
    if error is not None:
        event["exception"] = "\n".join(_lines(error))
    return event


def _error_of(exc_info: bool | BaseException | ExcInfo | None) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1]
    return sys.exception() if exc_info else None


def _lines(error: BaseException) -> list[str]:
    lines: list[str] = []
    earlier = error.__cause__ if error.__suppress_context__ else error.__context__
    if earlier is not None:
        lines += [*_lines(earlier), "after which:"]
    for frame in traceback.extract_tb(error.__traceback__):
        lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}")
    kind = type(error)
    text = f": {error}" if kind.__module__.startswith(_OURS) else ""
    lines.append(f"{kind.__module__}.{kind.__qualname__}{text}")
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            lines += ["made up of:", *_lines(part)]
    return lines


def _as_json(logger: WrappedLogger, method: str, event: EventDict) -> str:  # noqa: ARG001  # structlog's signature
    return _encoder.encode(event).decode()


def _unforeseen(value: Any) -> str:
    # A log line is not worth an exception, and the repr of whatever this is might tell too much.
    return f"<{type(value).__qualname__}>"


_encoder = msgspec.json.Encoder(enc_hook=_unforeseen)


def _discard(line: Line) -> None:
    """Nobody wants to see it."""


def _through_pipeline(line: Line) -> None:
    event = msgspec.to_builtins(line)
    del event["level"], event["timestamp"]
    structlog.get_logger().info(**event)


def _as_it_is(line: Line) -> None:
    line.timestamp = _timestamp(time.time_ns() // 1000)
    _out.write(_encoder.encode(line).decode() + "\n")


def _timestamp(microseconds: int) -> str:
    """As the pipeline's TimeStamper writes it. Most lines are of the same second as the one before."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{fraction:06d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


_write_info: Callable[[Line], None] = _through_pipeline
