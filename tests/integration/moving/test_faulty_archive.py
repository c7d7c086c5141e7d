"""What is wrong with an archive is told by line and rule, and quotes nothing."""

from __future__ import annotations

import re

import pytest

from service.domain.archive import UnreadableLine
from tests.integration.moving.test_archive import archive, bind, restored
from tests.integration.workers.bench import Bench


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (b"", "line 1"),
        (b'{"line":"registration"}\n', "line 1"),
        (b'{"line":"bindery","form":2,"service":"x","key":"y"}\n', "form 2"),
        (b'{"line":"bindery","service":"x","key":"y"}\nnot json\n', "line 2: not a JSON object"),
        (b'{"line":"bindery","service":"x","key":"y"}\n{"line":"registration","sid":"BS12"}\n', "line 2"),
        (b'{"line":"bindery","service":"x","key":"y"}\n' + b'{"x":' * 9000 + b"1" + b"}" * 9000 + b"\n", "line 2"),
        (b'{"line":"bindery","service":"x","key":"y","z":' + b"[" * 9000 + b"]" * 9000 + b"}\n", "line 1"),
        (b'{"line":"bindery","service":"x","key":"y"}\n{"line":"bindery","service":"x","key":"y"}\n', "a second head"),
    ],
)
async def test_a_faulty_line_is_named(there: Bench, lines: bytes, fault: str) -> None:
    """By its number and the rule that it breaks."""
    with pytest.raises(UnreadableLine, match=fault):
        await restored(there, lines)


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        (b'"binding_type":"+1555 \'0100\'"', r"line 2: Invalid enum value - at `\$.binding_type`$"),
        (b'"+15550100":1', "line 2: Object contains unknown field$"),
        (b'"chat":{"+15550100":1}', r"line 2: Object contains unknown field - at `\$.chat`$"),
        (b'"sid":"+15550100"', r"line 2: Expected `str` matching regex '.*' - at `\$.sid`$"),
        (b'"line":"+15550100"', r"line 2: Invalid value - at `\$.line`$"),
        (b'"address":15550100', r"line 2: Expected `str`, got `int` - at `\$.address`$"),
    ],
)
async def test_what_is_in_the_wrong_place_is_not_quoted(here: Bench, there: Bench, field: bytes, rule: str) -> None:
    """In a file whose columns were shifted by hand it is an address."""
    await bind(here, "alice", "token-1")
    head, line, *_ = (await archive(here)).splitlines()
    name = field.split(b":", maxsplit=1)[0]
    wrong = re.sub(name + rb":[^,}]*", field, line) if name + b":" in line else line[:-1] + b"," + field + b"}"
    with pytest.raises(UnreadableLine, match=rule):
        await restored(there, head + b"\n" + wrong + b"\n")
