"""Reconciling an identity's Chat bindings at an upstream: list, judge, and delete what must not stay."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

import structlog

from service.backends.twilio import Attempt, ChatBinding, OutcomeUnknown, Refused, Unlisted, UpstreamError
from service.domain.judging import Judgement, Listed, judge
from service.domain.record import Record
from service.domain.sids import BindingSid
from service.usecases.service import Service
from service.usecases.upstream.channels import ChatUpstream

Noted: TypeAlias = Sequence[tuple[str, Sequence[Record]]]
"""Identities, and what is noted here of the Chat bindings of each."""

_log = structlog.get_logger(__name__)


async def judged(
    service: Service, upstream: ChatUpstream, identities: Sequence[str], attempt: Attempt
) -> list[list[Judgement] | Unlisted]:
    """For each identity a judgement on each of its bindings there, to delete by; or why it could not be listed.

    It is by what is noted after the list: who has logged in again meanwhile keeps what the list shows.

    Raises:
        UpstreamError: it could not be listed.
        StoreUnavailable, TooManyRequests: the store could not be asked.
    """
    listed: dict[str, list[Listed]] = {identity: [] for identity in identities}
    found, refused = await upstream.bindings.of_each(list(listed), attempt)
    for binding in found:
        if binding.identity in listed:
            listed[binding.identity].append(listed_of(binding))
    verdicts = await judge_listed(service, upstream, await noted_of(service, identities), listed)
    return [refused.get(identity, verdict) for identity, verdict in zip(identities, verdicts, strict=True)]


async def noted_of(service: Service, identities: Sequence[str]) -> Noted:
    """What is noted here of each identity's Chat bindings, removals included that are not confirmed yet.

    Raises:
        StoreUnavailable, TooManyRequests: the store could not be asked.
    """
    owners = [service.fingerprints.owner(identity) for identity in identities]
    found = await service.reading.chat_bindings_of(owners) if owners else []
    return [(identity, records or []) for identity, records in zip(identities, found, strict=True)]


async def judge_listed(
    service: Service,
    upstream: ChatUpstream,
    noted: Noted,
    listed: dict[str, list[Listed]],
) -> list[list[Judgement]]:
    """The same of bindings that have been listed.

    Raises:
        BackendSwitched: they are kept elsewhere by now.
        StoreUnavailable, TooManyRequests: the store could not be asked.
    """
    elsewhere = await _elsewhere(service, listed)
    undone, logouts = await service.reading.chat_logouts(
        [service.fingerprints.owner(identity) for identity, _ in noted]
    )
    strict = upstream.config.strict
    return [
        judge(listed[identity], records, elsewhere[identity], strict=strict, logged_out=logged_out, undone=undone)
        for (identity, records), logged_out in zip(noted, logouts, strict=True)
    ]


class Unsure(OutcomeUnknown):
    """Of some identities nobody knows what came of their deletes, or what there is; all the others are done."""

    def __init__(self, reason: str, identities: Collection[str]) -> None:
        super().__init__(reason)
        self.identities = identities


async def reconcile(service: Service, upstream: ChatUpstream, identities: Sequence[str], attempt: Attempt) -> int:
    """List identities and delete what must not stay; answers how many bindings that were.

    An identity that the upstream refuses, or a delete, is passed over: the others must not wait for it. Nor must they
    for one that a firewall refuses, or for a delete of which nobody knows what came.

    Raises:
        Unsure: there were such.
        UpstreamError: not all of it was done.
        StoreUnavailable, TooManyRequests: the store could not be asked.
    """
    count = refused = 0
    unknown: dict[str, OutcomeUnknown] = {}
    for identity, judgements in zip(identities, await judged(service, upstream, identities, attempt), strict=True):
        try:
            if isinstance(judgements, UpstreamError):
                raise judgements
            count += await delete_unwanted(upstream, judgements, attempt)
        except Refused:
            refused += 1
        except OutcomeUnknown as error:
            unknown[identity] = error
    if refused:
        _log.warning("reconciling_refused", service=service.sid, identities=refused)
    if unknown:
        raise Unsure(next(iter(unknown.values())).reason, unknown.keys())
    return count


def listed_of(binding: ChatBinding) -> Listed:
    """A binding as it is judged."""
    return Listed(
        sid=binding.sid,
        endpoint=binding.endpoint,
        binding_type=binding.binding_type,
        updated=binding.date_updated or binding.date_created,
    )


async def _elsewhere(service: Service, listed: dict[str, list[Listed]]) -> dict[str, set[str]]:
    """For each identity those of its listed endpoints that another has registered."""
    prints = service.fingerprints
    asked = [(identity, binding.endpoint) for identity, bindings in listed.items() for binding in bindings]
    owners = await service.reading.owners_of_endpoints([prints.endpoint(endpoint) for _, endpoint in asked])
    found: dict[str, set[str]] = {identity: set() for identity in listed}
    for (identity, endpoint), owner in zip(asked, owners, strict=True):
        if owner and owner != prints.owner(identity):
            found[identity].add(endpoint)
    return found


async def delete_unwanted(upstream: ChatUpstream, judgements: Sequence[Judgement], attempt: Attempt) -> int:
    """Delete what was judged to go; answers how many that were.

    Raises:
        UpstreamError: not all of it; listing again shows what is left.
    """
    sids = (judgement.binding.sid for judgement in judgements if not judgement.kept)
    # What is no SID would be a path of its own.
    unwanted = [sid for sid in sids if BindingSid.parse(sid)]
    for sid in unwanted:
        await upstream.bindings.delete(sid, attempt)
    return len(unwanted)
