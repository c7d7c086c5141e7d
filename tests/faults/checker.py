"""Examines a recorded history against the contract; answers everything that breaks it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from math import floor

import msgspec

from tests.faults.effects import Projection, by_address, is_push
from tests.faults.history import (
    NOTIFY,
    Action,
    Delete,
    History,
    Listing,
    Logout,
    Lookup,
    Op,
    Outcome,
    Register,
    TurnOff,
)
from tests.faults.linearizable import first_unexplained

CAP = 20

_CLOCK_MARGIN = 0.005
"""Seconds that our reading of the clock and the store's may differ by: they are the same clock, read differently."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A breach of the contract: which line of it, and what was seen."""

    rule: str
    detail: str


def check(history: History) -> list[Violation]:
    """Every breach of the contract in a history.

    Raises:
        Overwhelmed: too much overlaps to be decided.
    """
    ops = sorted(history.ops, key=lambda op: op.start)
    return [*_answers(ops), *_order(history, ops), *_fences(history, ops), *_refusals(history, ops)]


def _answers(ops: Iterable[Op]) -> Iterator[Violation]:
    """What a single answer may not show: two owners of an address, or more than the cap."""
    for op in ops:
        match op.action:
            case Lookup(found=found):
                counts = Counter(address for shown in found.values() for address in shown)
                for address, owners in counts.items():
                    if owners > 1:
                        yield Violation(rule="one owner", detail=f"{address} is shown for {owners} identities: {op}")
                for identity, shown in found.items():
                    held = sum(1 for channels in shown.values() if channels & NOTIFY)
                    if held > CAP:
                        yield Violation(rule="cap", detail=f"{identity} holds {held} at {op.start:.3f}")
            case Listing(identity=identity, found=listed):
                if len(listed) > CAP:
                    yield Violation(rule="cap", detail=f"{identity} has {len(listed)} bindings at {op.start:.3f}")
            case _:
                pass


def _order(history: History, ops: Iterable[Op]) -> Iterator[Violation]:
    """Contract 1 to 4, and 6 for what was under way: an order of each address's history explains every answer."""
    for address, seen in sorted(by_address(ops).items()):
        broken = first_unexplained(address, seen, partial(_stops, history))
        if broken is not None:
            yield Violation(rule="order", detail=_story(address, seen, broken))


def _story(address: str, seen: Sequence[Projection], broken: int) -> str:
    at = seen[broken].op
    lines = [f"{address}: no order of its operations explains {_told(seen[broken])}; before it and beside it:"]
    writes = [p for p in seen if p.read is None and p.op.start <= at.end]
    return "\n".join([*lines, *(f"  {_told(p)}" for p in sorted(writes, key=lambda p: p.op.start)[-12:])])


def _told(projection: Projection) -> str:
    op = projection.op
    what = f"{type(op.action).__name__} that saw {projection.read}" if projection.read else str(op.action)
    return f"[{op.start:.4f} … {op.end:.4f}] client {op.client} {op.outcome.value}: {what}"


def _fences(history: History, ops: Sequence[Op]) -> Iterator[Violation]:
    """Contract 6: nothing that a logout ended registers again."""
    logouts = _logouts(op for op in ops if op.outcome is Outcome.DONE)
    for op in ops:
        if not isinstance(op.action, Register) or op.outcome is not Outcome.DONE:
            continue
        for before, logout in logouts[op.action.identity]:
            if before.end < op.start and _stops(history, before, op):
                yield Violation(
                    rule="fence", detail=f"{op.action} at {op.start:.4f} after {logout} at {before.end:.4f}"
                )


def _logouts(ops: Iterable[Op]) -> dict[str, list[tuple[Op, Logout]]]:
    found: dict[str, list[tuple[Op, Logout]]] = defaultdict(list)
    for op in ops:
        if isinstance(op.action, Logout):
            found[op.action.identity].append((op, op.action))
    return found


def _covers(logout: Logout, action: Register) -> bool:
    if logout.device is not None:
        return action.device == logout.device
    if logout.session is not None:
        return action.session == logout.session
    return logout.address is None or action.address == logout.address


def _stops(history: History, before: Op, late: Op) -> bool:
    """Whether a logout's fence must refuse a registration that takes effect after it (design: fences)."""
    logout, action = before.action, late.action
    if not isinstance(logout, Logout) or not isinstance(action, Register) or action.compatible:
        return False
    if logout.identity != action.identity or not _covers(logout, action):
        return False
    if logout.session is not None:
        return True
    if action.issued_at is None:
        return False
    # The second of the logout was not earlier than the one in which it was asked for.
    second = floor(history.epoch + before.start - _CLOCK_MARGIN)
    same_session = logout.caller is not None and logout.caller == action.session
    return action.issued_at < second or (action.issued_at == second and (same_session or action.session is None))


def _refusals(history: History, ops: Sequence[Op]) -> Iterator[Violation]:
    """Nobody is refused without a reason: contract 5 and 6 the other way round, and that what was made is found."""
    logouts = _logouts(op for op in ops if op.outcome is not Outcome.REFUSED)
    seen = by_address(op for op in ops if not isinstance(op.action, Lookup | Listing))
    writes = defaultdict(list, {address: [one.op for one in projections] for address, projections in seen.items()})
    reach: dict[str, set[str]] = defaultdict(set)
    for op in ops:
        if isinstance(op.action, Register):
            reach[op.action.identity].add(op.action.address)
    for op in ops:
        if op.outcome is not Outcome.REFUSED:
            continue
        match op.action, op.reason:
            case Register() as action, "session-ended":
                if not any(_may_stop(history, op, *logout, action) for logout in logouts[action.identity]):
                    yield Violation(rule="refused", detail=f"no logout explains the refusal of {_told(Projection(op))}")
            case Register() as action, "cap-reached":
                others = reach[action.identity] - {action.address}
                held = sum(_may_hold(action.identity, other, writes[other], op) for other in others)
                if held < CAP:
                    yield Violation(rule="refused", detail=f"over a cap of {held}: {_told(Projection(op))}")
            case Delete(made=float() as made) as action, "not-found":
                if not any(_may_end(write, made, op) for write in writes[action.address]):
                    yield Violation(rule="refused", detail=f"nothing ended what was not found: {_told(Projection(op))}")


def _may_hold(identity: str, address: str, writes: Iterable[Op], at: Op) -> bool:
    """Whether an identity may hold an address at some time during an operation."""
    ended, registrations = 0.0, list[Op]()
    for op in writes:
        action = op.action
        if isinstance(action, Register) and (action.identity, action.address) == (identity, address):
            registrations.append(op)
        elif op.end < at.start and _takes(action, identity, address):
            ended = max(ended, op.start)
    return any(op.end >= ended and op.start <= at.end for op in registrations)


def _takes(action: Action, identity: str, address: str) -> bool:
    """Whether it takes an address from an identity, whatever else there is of it."""
    match action:
        case Register():
            return action.address == address
        case Delete() | TurnOff():
            return action.identity == identity
        case Logout(device=None, session=None):
            return action.identity == identity and (action.address == address or is_push(address))
        case _:
            return False


def _may_end(write: Op, made: float, deleted: Op) -> bool:
    """Whether a write to the same address may have replaced what was made, or ended it, before it was to be deleted."""
    made_it = write.client == deleted.client and write.start == made
    return not made_it and write.end >= made and write.start <= deleted.end


def _may_stop(history: History, op: Op, before: Op, logout: Logout, action: Register) -> bool:
    if before.start >= op.end or not _covers(logout, action):
        return False
    if logout.session is not None:
        return True
    return action.issued_at is not None and action.issued_at <= history.epoch + min(before.end, op.end) + _CLOCK_MARGIN
