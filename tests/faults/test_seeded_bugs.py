# ruff: noqa: E501  # one bug, one line
"""The harness as a whole: with a bug put into the product, random load and the checker find it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.deployment import Deployment, deployed
from tests.faults.load import Plan
from tests.faults.product import change, copied
from tests.faults.proving import Broken, prove

pytestmark = pytest.mark.slow

LEAK_FOR_50_MS = """
import asyncio
_look_up, _kept = look_up, {}

async def look_up(service, identities):
    answers, now = await _look_up(service, identities), asyncio.get_running_loop().time()
    for n, identity in enumerate(identities):
        if identity in _kept and now - _kept[identity][0] < 0.05:
            answers[n] = _kept[identity][1]
        else:
            _kept[identity] = now, answers[n]
    return answers
"""

CHECK_THEN_INSERT = """
import asyncio
_run = Section.run

async def run(self, name, *arguments):
    if name == "register":
        checked = await _run(self, name, *arguments, b"check")
        if checked[0] == b"fenced":
            return checked
        await asyncio.sleep(0.1)
    return await _run(self, name, *arguments)

Section.run = run
"""

REGISTER = "service/store/lua/register.lua"
LOGOUT, SETTLE = "service/store/lua/logout.lua", "service/store/lua/settle.lua"
CHANGES = "service/store/lua/lib/changes.lua"
FENCED = "if is_fenced(owner, device, { fp }, session, channels, iat) then return { 'fenced' } end"

Change = tuple[str, str, str]

SLOW_WORKER: Change = (
    "workers/batches.py",
    "        settlements = await attempt(reconcile, lease",
    "        await asyncio.sleep(0.15)\n        settlements = await attempt(reconcile, lease",
)

BUGS: dict[str, tuple[str, list[Change]]] = {
    "lost write": ("order", [(REGISTER, "put('r', fp, new)\nenter(owner, fp, channels)", "if this % 20 == 0 then new.raw = encode(new) else put('r', fp, new) enter(owner, fp, channels) end")]),
    "double owner": ("order", [(REGISTER, "enter(former, fp, 0)", "")]),
    "21st binding": ("cap", [(REGISTER, "if #held >= cap then", "if #held > cap then")]),
    "cap of 17": ("refused", [(REGISTER, "if #held >= cap then", "if #held >= cap - 3 then")]),
    "resurrected session": ("fence", [(REGISTER, "then return { 'fenced' } end", "and NOW % 2 == 0 then return { 'fenced' } end")]),
    "fence checked before": ("order", [(REGISTER, FENCED, f"if ARGV[#ARGV] == 'check' then {FENCED} return {{ 'free' }} end"), ("service/store/section.py", "", CHECK_THEN_INSERT)]),
    "no fence by address": ("fence", [(LOGOUT, "raise_fence(by, owner, what, channels, session, lifetime)", "if by ~= 'a' then raise_fence(by, owner, what, channels, session, lifetime) end")]),
    "leak for 50 ms": ("order", [("service/usecases/looking_up.py", "", LEAK_FOR_50_MS)]),
    "nothing is owed": ("applied", [(REGISTER, "if notify == PENDING then mark('n', fp) end", "")]),
    "removal not owed": ("applied", [(CHANGES, "      mark('n', id)\n    end\n  end\n  enter", "    end\n  end\n  enter")]),
    "Chat removal not owed": ("applied", [(CHANGES, "    put('k', key, c)\n    mark('h', c.owner)", "    put('k', key, c)")]),
    "settled whatever has changed": ("applied", [SLOW_WORKER, (SETTLE, "if r and holds and r.version == tonumber(seen) then", "if r then"), (SETTLE, "local holds = score and tonumber(score) == tonumber(token)", "local holds = true")]),
}  # fmt: skip
"""What is wrong, the rule it breaks, and where: the right text and the wrong one; without a right text it is added at the end."""


async def nothing(_: Deployment, __: random.Random) -> None:
    """No fault: the bug is enough."""


@pytest.mark.parametrize(
    "bug",
    [
        "lost write",
        "leak for 50 ms",
        "double owner",
        "21st binding",
        "cap of 17",
        "fence checked before",
        "no fence by address",
        "removal not owed",
        "settled whatever has changed",
    ],
)
def test_a_bug_in_the_product_is_caught(tmp_path: Path, bug: str) -> None:
    """Within a few seconds of load."""
    caught(tmp_path, bug)


@pytest.mark.proof
@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_in_the_product_is_caught(tmp_path: Path, bug: str) -> None:
    """All that the checker is for."""
    caught(tmp_path, bug)


def caught(directory: Path, bug: str) -> None:
    """Run the load on the product with the bug, and see it found."""
    product = copied(directory / "product")
    rule, changes = BUGS[bug]
    for one in changes:
        change(product, *one)
    with (
        deployed(directory, code=product) as deployment,
        pytest.raises(Broken) as broken,
    ):
        prove(deployment, nothing, times=12, plan=Plan(pause=0.01))
    rules = [violation.rule for violation in broken.value.violations]
    print(f"{bug}: {Counter(rules)}")  # noqa: T201  # for the report
    assert rule in rules
