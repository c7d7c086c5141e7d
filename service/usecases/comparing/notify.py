"""Comparing Notify bindings: all of them, and what seems to differ once more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from service.domain.addresses import canonical
from service.domain.record import Channel, Record, State
from service.domain.sids import BindingSid, user_sid
from service.domain.upstream import Agreed, Held, decide
from service.usecases.comparing.difference import Difference, What
from service.usecases.comparing.motion import unmoved
from service.usecases.comparing.shelves import Binding, NotifyShelves, digest, version_digest
from service.usecases.service import Service
from service.usecases.upstream.applying import NOTHING, held_of, listing
from service.usecases.upstream.channels import NotifyUpstream

_LIST_SECONDS = 60.0
_RECORDS = 500


_UNREADABLE = "not of a kind that is known here"


class _Candidate(msgspec.Struct, frozen=True):
    fingerprint: bytes | None
    """Of its address; None of a binding that cannot be kept here."""
    difference: Difference


async def notify_differences(service: Service, upstream: NotifyUpstream) -> AsyncIterator[Difference]:
    """Those of Notify bindings. What the upstream holds is kept in memory meanwhile, 56 bytes for each.

    Raises:
        UpstreamError, StoreUnavailable, TooManyRequests
    """
    candidates = _candidates(service, upstream)
    async for candidate in unmoved(candidates, lambda again: _still(service, upstream, again)):
        yield candidate.difference


async def _candidates(service: Service, upstream: NotifyUpstream) -> AsyncIterator[_Candidate]:
    shelves, unreadable = await _shelved(service, upstream)
    for candidate in unreadable:
        yield candidate
    there: dict[bytes, list[Binding]] = {}
    number = -1
    # Both sides go by fingerprint.
    async for records in service.reading.walk(chat=False, records=_RECORDS):
        for record in records:
            while number < record.fingerprint[0]:
                for candidate in _unknown(there):
                    yield candidate
                number += 1
                there = shelves.take(number)
            what = _compare(record, there.pop(record.fingerprint, []))
            if what is not None:
                yield what
    while number < 256:
        for candidate in _unknown(there):
            yield candidate
        number += 1
        there = shelves.take(number) if number < 256 else {}


async def _shelved(service: Service, upstream: NotifyUpstream) -> tuple[NotifyShelves, list[_Candidate]]:
    shelves, prints = NotifyShelves(), service.fingerprints
    unreadable: list[_Candidate] = []
    async for bindings in upstream.bindings.walk():
        for binding in bindings:
            held = held_of(binding)
            owner = prints.owner(binding.identity)
            if held is None:
                unreadable.append(_stranger(None, owner, binding.sid, _UNREADABLE))
                continue
            address, version = canonical(held.kind, binding.address), version_digest(held.attributes.protocol_version)
            packed = digest(held.kind, held.attributes)
            shelves.put(Binding(prints.address(address), held.sid, owner, packed, version))
    return shelves, unreadable


def _compare(record: Record, held: Sequence[Binding]) -> _Candidate | None:
    wanted, desired = digest(record.type, record.attributes), record.attributes.protocol_version

    def agrees(sid: BindingSid) -> bool:
        versions = [binding.version for binding in held if binding.sid == sid and binding.digest == wanted]
        return bool(versions) and (desired is None or version_digest(desired) in versions)

    return _candidate(record, [binding.sid for binding in held], agrees)


def _candidate(record: Record, held: Sequence[BindingSid], agrees: Callable[[BindingSid], bool]) -> _Candidate | None:
    if is_owed(record):
        # Of what is to go the SID is there, or in a trace; a registration without Notify has none of its own.
        known = [*held, *(trace.sid for trace in record.traces if trace.sid)]
        return _of(record, What.OWED, record.sid if record.channels & Channel.NOTIFY or not known else known[0])
    if not record.channels & Channel.NOTIFY:
        return _of(record, What.UNWANTED, held[0]) if held else None
    sid = record.visible_sid(Channel.NOTIFY) or record.sid
    if not held:
        return _of(record, What.MISSING, sid)
    if not agrees(sid):
        return _of(record, What.DIFFERS, held[0])
    # An upstream that keeps the case of APNs tokens can hold two.
    extra = next((other for other in held if other != sid), None)
    return _of(record, What.UNWANTED, extra) if extra else None


def is_owed(record: Record) -> bool:
    """Whether a worker has yet to bring its Notify binding to the desired state, or to look whether it is.

    What was found to agree, and is to be looked at once more when nothing late can come, is compared like any other.
    """
    return record.notify in (State.PENDING, State.UNKNOWN) or bool(record.doubt and record.notify != State.APPLIED)


def _of(record: Record, what: What, sid: BindingSid) -> _Candidate:
    detail = "refused: see `bindery dead list`" if record.notify == State.FAILED else ""
    found = Difference(api="notify", what=what, user_sid=user_sid(record.owner), binding_sid=str(sid), detail=detail)
    return _Candidate(record.fingerprint, found)


def _unknown(there: dict[bytes, list[Binding]]) -> list[_Candidate]:
    return [_stranger(b.fingerprint, b.owner, str(b.sid)) for bindings in there.values() for b in bindings]


def _stranger(fingerprint: bytes | None, owner: bytes, sid: str, detail: str = "") -> _Candidate:
    found = Difference(api="notify", what=What.UNKNOWN, user_sid=user_sid(owner), binding_sid=sid, detail=detail)
    return _Candidate(fingerprint, found)


async def _still(service: Service, upstream: NotifyUpstream, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Those that a second look, at each by itself, finds to differ."""
    read = await asyncio.gather(*(_record(service, candidate) for candidate in candidates))
    records = [record for record in read if record is not None]
    listed = await listing(service, upstream, records, time.monotonic() + _LIST_SECONDS) if records else NOTHING
    left: list[_Candidate] = []
    for candidate, record in zip(candidates, read, strict=True):
        if record is not None:
            there = listed.there.get(record.fingerprint, [])
            if listed.refusal(record) is not None:
                there = await _held(upstream, record, candidate)
            what = _differs(record, there)
            if what is not None:
                left.append(what)
        elif await _is_there(upstream, candidate.difference.binding_sid):
            left.append(candidate)
    return left


async def _held(upstream: NotifyUpstream, record: Record, candidate: _Candidate) -> list[Held]:
    """What is there of a record whose identity cannot be listed, by the SIDs that are known."""
    known = {candidate.difference.binding_sid, *(str(trace.sid) for trace in record.traces if trace.sid)}
    fetched = [await upstream.bindings.fetch(sid) for sid in known]
    return [held for binding in fetched if binding and (held := held_of(binding))]


async def _record(service: Service, candidate: _Candidate) -> Record | None:
    return None if candidate.fingerprint is None else await service.reading.registration(candidate.fingerprint)


async def _is_there(upstream: NotifyUpstream, sid: str) -> bool:
    # What is no SID is not asked for: it would be a path of its own.
    return BindingSid.parse(sid) is None or await upstream.bindings.fetch(sid) is not None


def _differs(record: Record, held: list[Held]) -> _Candidate | None:
    def agrees(sid: BindingSid) -> bool:
        decision = decide(record, held)
        return isinstance(decision, Agreed) and decision.binding is not None and decision.binding.sid == sid

    return _candidate(record, [binding.sid for binding in held], agrees)
