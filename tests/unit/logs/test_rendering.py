"""What a log line says of an exception, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import pytest
import structlog

from service.domain.errors import NotFound
from service.logs import configure, on_loop_error, render_exception
from service.settings import load
from tests.unit.settings.test_loading import LEAST


def rendered(error: BaseException) -> str:
    try:
        raise error
    except type(error):
        return str(render_exception(None, "error", {"exc_info": True})["exception"])


def test_the_text_of_a_foreign_exception_is_withheld() -> None:
    """It may quote the value at fault: the class and the place have to do."""
    text = rendered(ValueError("invalid token-of-alice"))
    assert text.endswith("builtins.ValueError")
    assert "alice" not in text
    assert "test_rendering.py" in text


def test_our_own_exceptions_speak() -> None:
    """Their texts hold no address, device id or secret."""
    assert rendered(NotFound("There is no such Service")).endswith("NotFound: There is no such Service")


def test_causes_and_groups_are_told_alike() -> None:
    """No text slips through a chain of exceptions, or a group of them."""
    cause = KeyError("alice")
    error = ExceptionGroup("alice", [ValueError("alice")])
    error.__cause__ = cause
    text = rendered(error)
    assert "builtins.KeyError" in text
    assert "builtins.ValueError" in text
    assert "alice" not in text


async def test_a_forgotten_task_tells_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    """asyncio's own complaint holds the task's repr, and that the exception's."""
    configure(load({**LEAST, "BINDERY_LOG_FORMAT": "json"}))
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(on_loop_error)
    loop.call_exception_handler({"message": "never retrieved", "exception": ValueError("alice"), "future": "alice"})
    err = capsys.readouterr().err
    assert "builtins.ValueError" in err
    assert "alice" not in err


@pytest.mark.parametrize("level", ["info", "warning"])
def test_libraries_join_the_same_pipeline(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object per line, whoever logs; and no values of frames."""
    configure(load({**LEAST, "BINDERY_LOG_FORMAT": "json", "BINDERY_LOG_LEVEL": level}))
    secret = "token-of-alice"  # a local variable, which a traceback with locals would show
    structlog.get_logger("ours").warning("something", ledger="n")
    try:
        int(secret)
    except ValueError:
        logging.getLogger("asyncio").exception("a task failed")
    logging.getLogger("arq.worker").info("job %s", "started")
    structlog.get_logger("ours").debug("nothing")
    err = capsys.readouterr().err
    lines = [json.loads(line) for line in err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("something", "warning"), ("a task failed", "error")]
    assert secret not in err
    assert "builtins.ValueError" in lines[1]["exception"]


def test_people_get_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal, or when asked for."""
    configure(load({**LEAST, "BINDERY_LOG_FORMAT": "text"}))
    structlog.get_logger("ours").info("something", ledger="n")
    secret = "token-of-alice"
    try:
        int(secret)
    except ValueError:
        structlog.get_logger("ours").exception("failed", anything=sys)
    err = capsys.readouterr().err
    assert "something" in err.splitlines()[0]
    assert "builtins.ValueError" in err
    assert secret not in err
