"""Comparing Chat bindings: all of them, and once more those of identities that seem to differ."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from service.domain.judging import Judgement, Listed, Why, age
from service.domain.sids import user_sid
from service.usecases.comparing.difference import Difference, What
from service.usecases.comparing.motion import unmoved
from service.usecases.comparing.shelves import Shelves
from service.usecases.service import Service
from service.usecases.upstream.channels import ChatUpstream
from service.usecases.upstream.chat_reconciling import judge_listed, listed_of, noted_of

_IDENTITIES = 200


class _Candidate(msgspec.Struct, frozen=True):
    identity: str
    difference: Difference


async def chat_differences(service: Service, upstream: ChatUpstream) -> AsyncIterator[Difference]:
    """Chat bindings at the upstream that are not wanted there, or not known here.

    What apps' SDKs have yet to create is no difference. What the upstream holds is kept in memory meanwhile, packed.

    Raises:
        UpstreamError, StoreUnavailable, TooManyRequests
    """
    candidates = _candidates(service, upstream)
    async for candidate in unmoved(candidates, lambda again: _still(service, upstream, again)):
        yield candidate.difference


async def _candidates(service: Service, upstream: ChatUpstream) -> AsyncIterator[_Candidate]:
    shelves = Shelves()
    async for bindings in upstream.bindings.walk():
        for binding in bindings:
            owner = service.fingerprints.owner(binding.identity)
            shelves.put(owner, (binding.identity, listed_of(binding)))
    unpack = msgspec.msgpack.Decoder(tuple[str, Listed]).decode
    for things in shelves.take():
        listed: dict[str, list[Listed]] = {}
        for identity, each in map(unpack, things):
            listed.setdefault(identity, []).append(each)
        identities = list(listed)
        for first in range(0, len(identities), _IDENTITIES):
            some = {identity: listed[identity] for identity in identities[first : first + _IDENTITIES]}
            for candidate in await _differing(service, upstream, some):
                yield candidate


async def _still(service: Service, upstream: ChatUpstream, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """What differs of the candidates' identities when they are listed by themselves."""
    listed: dict[str, list[Listed]] = {candidate.identity: [] for candidate in candidates}
    found, refused = await upstream.bindings.of_each(list(listed))
    for binding in found:
        if binding.identity in listed:
            listed[binding.identity].append(listed_of(binding))
    unseen = [candidate for candidate in candidates if candidate.identity in refused]
    return unseen + await _differing(service, upstream, listed)


async def _differing(service: Service, upstream: ChatUpstream, listed: dict[str, list[Listed]]) -> list[_Candidate]:
    noted = await noted_of(service, list(listed))
    verdicts = await judge_listed(service, upstream, noted, listed)
    candidates, strange = [], list[Listed]()
    for (identity, records), judgements in zip(noted, verdicts, strict=True):
        known = {record.address for record in records if record.channels}
        for judgement in judgements:
            what = _judged(judgement, known)
            if what is None:
                continue
            if what is What.UNKNOWN:
                strange.append(judgement.binding)
            difference = Difference(
                api=upstream.config.api,
                what=what,
                user_sid=user_sid(service.fingerprints.owner(identity)),
                binding_sid=judgement.binding.sid,
                detail="" if judgement.kept else judgement.why.value,
            )
            candidates.append(_Candidate(identity, difference))
    lost = await _lost(service, strange)
    return [candidate for candidate in candidates if candidate.difference.binding_sid not in lost]


async def _lost(service: Service, strange: Sequence[Listed]) -> set[str]:
    """SIDs of those whose endpoints somebody else here has had since: an import has left them there (ADR 19)."""
    prints = service.fingerprints
    owners = await service.reading.owners_of_endpoints([prints.endpoint(b.endpoint) for b in strange], adopted=True)
    having = list({owner for owner in owners if owner})
    found = await service.reading.chat_bindings_of(having) if having else []
    since = {
        (owner, record.address): max(record.created, record.seen)
        for owner, records in zip(having, found, strict=True)
        for record in records or ()
        if record.channels
    }
    return {
        binding.sid
        for owner, binding in zip(owners, strange, strict=True)
        if int(age(binding)[0]) <= since.get((owner, binding.endpoint), -1)
    }


def _judged(judgement: Judgement, known: set[str]) -> What | None:
    if not judgement.kept:
        return What.UNWANTED
    return What.UNKNOWN if judgement.why is Why.UNKNOWN and judgement.binding.endpoint not in known else None
