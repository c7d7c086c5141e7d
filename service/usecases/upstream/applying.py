"""Applying one registration at an upstream: what it takes by the state there, and what is known afterwards.

Whatever happens ends in an observation, cancellation included: a call that may have been sent is never forgotten.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import structlog

from service.backends.twilio import (
    Attempt,
    NotDone,
    NotifyBinding,
    NotItsTurn,
    NotTheApi,
    OutcomeUnknown,
    Refused,
    Unlisted,
    UpstreamError,
)
from service.domain.addresses import BindingType, canonical
from service.domain.limits import CAP
from service.domain.record import Attributes, Channel, Record, State, encode_blob
from service.domain.sids import BindingSid
from service.domain.upstream import Agreed, Create, Held, Wait, decide, identities
from service.store.ledger import Verdict
from service.store.upstream_ledger import Observation, Report, Seen, Taken
from service.usecases.reconciling import backoff_ms
from service.usecases.service import Service
from service.usecases.upstream.channels import NotifyUpstream

ByAddress: TypeAlias = dict[bytes, list[Held]]
"""By fingerprint, what an upstream's lists show of addresses."""

_LONGEST_DELAY_MS = 60_000
_WAIT_MS, _AGAIN_MS = 250, 250
_TRIES_WHEN_FULL = 20
_INVALID = 20001

_log = structlog.get_logger(__name__)


class Listing(NamedTuple):
    """What lists show, and why some identities could not be listed."""

    there: ByAddress
    refused: Mapping[str, Unlisted]

    def refusal(self, record: Record) -> Unlisted | None:
        """What it says of an identity that may hold the record's address there: then nobody can tell what there is."""
        found = [self.refused[identity] for identity in identities(record) if identity in self.refused]
        # What may be answered another time comes before what never will.
        return next((one for one in found if isinstance(one, NotTheApi)), found[0] if found else None)

    def held(self, record: Record) -> list[Held]:
        """What is there of the record's address; under identities that cannot be listed, what was known.

        Under the desired identity even that is left out: only a create tells whether the upstream takes it.
        """
        desired = record.attributes.identity if record.channels & Channel.NOTIFY else None
        unlisted = [t for t in record.traces if t.sid and t.attributes.identity in self.refused.keys() - {desired}]
        known = [Held(t.sid, t.kind, t.attributes) for t in unlisted if t.sid]
        return self.there.get(record.fingerprint, []) + known


NOTHING = Listing({}, {})


async def listing(service: Service, upstream: NotifyUpstream, records: Sequence[Record], deadline: float) -> Listing:
    """What the upstream shows now of these records' addresses, under every identity that may hold them there.

    Raises:
        UpstreamError: it could not be asked.
    """
    wanted = list(dict.fromkeys(identity for record in records for identity in identities(record)))
    found, refused = await upstream.bindings.of_each(wanted, Attempt(deadline))
    return Listing(by_address(service, found), refused)


def by_address(service: Service, bindings: Sequence[NotifyBinding]) -> ByAddress:
    """Bindings by the fingerprints of their addresses."""
    found: ByAddress = {}
    for binding in bindings:
        held = held_of(binding)
        if held is not None:
            found.setdefault(service.fingerprints.address(canonical(held.kind, binding.address)), []).append(held)
    return found


def held_of(binding: NotifyBinding) -> Held | None:
    """A binding as it is compared; None for one of a kind that is not known here."""
    sid = BindingSid.parse(binding.sid)
    try:
        kind = BindingType(binding.binding_type)
    except ValueError:
        return None
    if sid is None:
        return None
    attributes = Attributes(
        binding.identity, binding.tags or (), binding.credential_sid, binding.notification_protocol_version
    )
    return Held(sid, kind, attributes)


class Application:
    """The work on one leased record until ``deadline`` (on the monotonic clock)."""

    def __init__(self, service: Service, upstream: NotifyUpstream, taken: Taken, deadline: float) -> None:
        self._service = service
        self._upstream = upstream
        self._record = taken.record
        self._successor = taken.successor
        self._attempt = Attempt(deadline)
        self._deadline = deadline
        self._changes: Seen | bool = False
        """What is being sent that changes something: a binding to create, True to delete."""

    async def run(self, listed: Callable[[], Awaitable[Listing]]) -> Observation:
        """Do what it takes; never raises. ``listed`` is asked if the record is in doubt."""
        try:
            return await (self._look_and_act(await listed()) if self._record.doubt else self._act(None))
        except asyncio.CancelledError:
            return self._broken_off(Verdict.BACK)
        except NotDone as error:
            return self._not_done(error)
        except OutcomeUnknown as error:
            return self._broken_off(Verdict.LATER, error)
        except Refused as error:
            if self._changes:
                return Observation(self._record, Verdict.DEAD, reason=error.reason)
            return self._broken_off(Verdict.LATER, error)
        except Exception as error:  # noqa: BLE001  # the job's edge: one record's fault must not block its lane
            _log.error("upstream_work_broke", error=type(error).__name__, exc_info=error)
            return self._broken_off(Verdict.LATER)

    async def _look_and_act(self, listed: Listing) -> Observation:
        record, refusal = self._record, listed.refusal(self._record)
        own = listed.refused.get(record.attributes.identity) if record.channels & Channel.NOTIFY else None
        if isinstance(own, NotTheApi):
            # A firewall's, which may let it through another time.
            raise own
        done = await self._act(listed.held(record))
        if refusal is not None and done.verdict is Verdict.GONE:
            if isinstance(refusal, NotTheApi):
                # Who else may have it is asked for until it can be told.
                raise refusal
            # What was known is deleted; whether that was all the upstream does not say, and never will.
            return Observation(self._record, Verdict.DEAD, reason=refusal.reason)
        return done

    async def _act(self, known: list[Held] | None) -> Observation:
        match decide(self._record, known, self._successor):
            case Wait():
                # No more often than what it waits for is tried.
                tries = self._successor.attempts if self._successor else 0
                delay = min(backoff_ms(tries), _LONGEST_DELAY_MS) if tries else _WAIT_MS
                return Observation(self._record, Verdict.BACK, delay_ms=delay)
            case Agreed(binding, extra):
                for sid in extra:
                    await self._delete(sid)
                wanted = bool(self._record.channels & Channel.NOTIFY)
                seen = Seen(binding.sid, binding.kind, encode_blob(self._record.attributes)) if binding else None
                return Observation(self._record, Verdict.HELD if wanted else Verdict.GONE, Report.IS, seen)
            case Create():
                return await self._create(known)

    async def _create(self, known: list[Held] | None) -> Observation:
        record, attributes = self._record, self._record.attributes
        blob = encode_blob(attributes)
        self._changes = Seen(None, record.type, blob)
        try:
            created = await self._upstream.bindings.create(
                identity=attributes.identity,
                binding_type=record.type.value,
                address=record.address,
                tags=attributes.tags,
                credential_sid=attributes.credential_sid,
                protocol_version=attributes.protocol_version,
                attempt=self._attempt,
            )
        except Refused as refused:
            self._changes = False
            return await self._refused(refused, known)
        sid = BindingSid.parse(created.sid)
        if sid is None:
            raise OutcomeUnknown("the answer has no SID of a binding")
        return Observation(record, Verdict.HELD, Report.IS, Seen(sid, record.type, blob))

    async def _refused(self, refused: Refused, known: list[Held] | None) -> Observation:
        record, identity = self._record, self._record.attributes.identity
        may_be_full = refused.bad_request and refused.code == _INVALID
        # Tries count from when the upstream was found full: what had failed before is none of them.
        tries = record.attempts if record.full else 0
        if may_be_full and await self._makes_room(identity):
            delay = _AGAIN_MS if tries < _TRIES_WHEN_FULL else self._delay(None)
            return Observation(record, Verdict.FULL, delay_ms=delay, reason=refused.reason)
        # Whoever had the address before has lost it, even if its new owner does not get it.
        if known is None:
            known = [Held(t.sid, t.kind, t.attributes) for t in record.traces if t.sid]
        others = [held.sid for held in known if held.attributes.identity != identity]
        for sid in others:
            await self._delete(sid)
        report = Report.IS if others and len(others) == len(known) else Report.SAME
        return Observation(record, Verdict.DEAD, report, reason=refused.reason)

    async def _makes_room(self, identity: str) -> bool:
        """Whether the upstream is full for the identity, with bindings that are on their way out."""
        found, refused = await self._upstream.bindings.of_each([identity], Attempt(self._deadline))
        if isinstance(refusal := refused.get(identity), NotTheApi):
            raise refusal
        if len(found) < CAP:
            return False
        owner, prints = self._service.fingerprints.owner(identity), self._service.fingerprints
        for binding in found:
            held = held_of(binding)
            if held is None:
                continue
            record = await self._service.reading.registration(prints.address(canonical(held.kind, binding.address)))
            if record is None or (record.owner == owner and record.channels & Channel.NOTIFY):
                continue
            # Refused for good, it makes none.
            if record.doubt or record.notify in (State.PENDING, State.UNKNOWN):
                return True
        return False

    async def _delete(self, sid: BindingSid) -> None:
        self._changes = True
        await self._upstream.bindings.delete(str(sid), self._attempt)
        self._changes = False

    def _broken_off(self, verdict: Verdict, error: UpstreamError | None = None) -> Observation:
        changes = self._changes if self._attempt.sent else False
        report = Report.UNKNOWN if changes else Report.SAME
        seen = changes if isinstance(changes, Seen) else None
        delay = 0 if verdict is Verdict.BACK else self._delay(error)
        return Observation(self._record, verdict, report, seen, delay, error.reason if error else "")

    def _not_done(self, error: NotDone) -> Observation:
        if isinstance(error, NotItsTurn):
            seconds = max(error.retry_after or 0.0, _AGAIN_MS / 1000)
            spread = random.uniform(1.0, 1.5)  # noqa: S311  # jitter
            return Observation(self._record, Verdict.BACK, delay_ms=int(1000 * seconds * spread))
        return Observation(self._record, Verdict.LATER, delay_ms=self._delay(error), reason=error.reason)

    def _delay(self, error: UpstreamError | None) -> int:
        asked = int(1000 * ((error.retry_after if error else None) or 0.0))
        return max(asked, min(backoff_ms(self._record.attempts), _LONGEST_DELAY_MS))
