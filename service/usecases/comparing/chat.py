"""Comparing Chat bindings."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from service.domain.judging import Judgement, Listed, Why
from service.domain.sids import user_sid
from service.usecases.comparing.difference import Difference, What
from service.usecases.comparing.shelves import Shelves
from service.usecases.service import Service
from service.usecases.upstream.channels import ChatUpstream
from service.usecases.upstream.chat_reconciling import judge_listed, listed_of

_IDENTITIES = 200


async def chat_differences(service: Service, upstream: ChatUpstream) -> AsyncIterator[Difference]:
    """Chat bindings at the upstream that are not wanted there, or not known here.

    What apps' SDKs have yet to create is no difference. What the upstream holds is kept in memory meanwhile, packed.

    Raises:
        UpstreamError, StoreUnavailable, TooManyRequests
    """
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
            for difference in await _chat(service, upstream, some):
                yield difference


async def _chat(service: Service, upstream: ChatUpstream, listed: dict[str, list[Listed]]) -> list[Difference]:
    owners = [service.fingerprints.owner(identity) for identity in listed]
    found = await service.reading.chat_bindings_of(owners)
    noted = [(identity, records or []) for identity, records in zip(listed, found, strict=True)]
    verdicts = await judge_listed(service, upstream, noted, listed)
    told = []
    for owner, (_, records), judgements in zip(owners, noted, verdicts, strict=True):
        known = {record.address for record in records if record.channels}
        for judgement in judgements:
            what = _judged(judgement, known)
            if what is not None:
                detail = "" if judgement.kept else judgement.why.value
                sid = judgement.binding.sid
                told.append(
                    Difference(
                        api=upstream.config.api, what=what, user_sid=user_sid(owner), binding_sid=sid, detail=detail
                    )
                )
    return told


def _judged(judgement: Judgement, known: set[str]) -> What | None:
    if not judgement.kept:
        return What.UNWANTED
    return What.UNKNOWN if judgement.why is Why.UNKNOWN and judgement.binding.endpoint not in known else None
