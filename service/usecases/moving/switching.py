"""Switching: a Service's bindings are kept here instead of at its upstreams, or there again."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence

from service.domain.addresses import BindingType
from service.domain.fingerprints import NO_LINK
from service.domain.record import Channel, Record, State
from service.domain.sids import BindingSid
from service.store.adoptions import Found
from service.store.switches import AT_ONCE
from service.usecases.service import Service
from service.usecases.upstream.adopting import chat_found, notify_found
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream

_DONE = State.APPLIED, State.NONE
_ANY = 0
"""In place of a type's code: an endpoint's digest, whatever its type there."""
_GOOGLE = {BindingType.FCM: BindingType.GCM, BindingType.GCM: BindingType.FCM}


async def cut_over(service: Service, channels: Channel, *, agreed: bool) -> None:
    """Keep these channels' bindings here from now on. SIDs that were shown stay valid until what they name changes.

    ``agreed``: the two sides were compared, and did not differ. May be done again: then what it left undone is done.

    Raises:
        UpstreamError: the upstream's Chat bindings could not be listed; nothing was switched.
        StoreUnavailable, StoreFull, TooManyRequests: do it again.
    """
    if Channel.CHAT in channels and service.chat_upstream is not None:
        listed = await _entitle(service, service.chat_upstream)
        await _drop_vanished(service, service.chat_upstream, listed)
    notify, _ = service.configured
    # Until its lease ends a worker may begin a call of before.
    late = math.ceil(notify.lease_ms / 1000 + notify.config.longest_request) if notify else 0
    await service.switches.over(channels, agreed=agreed, late=late)
    for channel in channels:
        async for keys in _keys(service, channel, _unsettled):
            service.wake(await service.switches.settle_here(channel, keys))


def _unsettled(record: Record, channel: Channel) -> bool:
    if channel is Channel.CHAT:
        return record.chat not in _DONE
    return bool(record.notify not in _DONE or record.doubt or record.full or not record.channels)


async def _entitle(service: Service, upstream: ChatUpstream) -> set[bytes]:
    """Answers digests of the endpoints that are there, each of its identity."""
    prints = service.fingerprints
    listed: set[bytes] = set()
    async for bindings in upstream.bindings.walk():
        sids: list[tuple[bytes, bytes, bool]] = []
        for binding in bindings:
            listed.add(prints.chat(prints.owner(binding.identity), binding.endpoint, _ANY))
            found = chat_found(binding)
            if found is None:
                continue
            owner = prints.owner(found.attributes.identity)
            sids.append((prints.chat(owner, found.address, found.kind.code), found.sid.raw, False))
            if found.kind in _GOOGLE:
                sids.append((prints.chat(owner, found.address, _GOOGLE[found.kind].code), found.sid.raw, True))
        for first in range(0, len(sids), AT_ONCE):
            await service.switches.entitle(sids[first : first + AT_ONCE])
    return listed


async def _drop_vanished(service: Service, upstream: ChatUpstream, listed: set[bytes]) -> None:
    """End imported Chat bindings that their SDKs have deleted there since: without a registration nobody else does."""
    prints = service.fingerprints
    async for records in service.reading.walk(chat=True, records=AT_ONCE):
        alone = [record for record in records if record.channels and record.link == NO_LINK]
        gone = [record for record in alone if prints.chat(record.owner, record.address, _ANY) not in listed]
        if gone:
            # Asked once more: pages shift, and an import may go on beside this.
            identities = list(dict.fromkeys(record.attributes.identity for record in gone))
            found, unlisted = await upstream.bindings.of_each(identities)
            there = {(binding.identity, binding.endpoint) for binding in found}
            for record in gone:
                identity, sid = record.attributes.identity, record.visible_sid(Channel.CHAT) or record.sid
                if identity in unlisted and await upstream.bindings.fetch(str(sid)) is not None:
                    continue
                if (identity, record.address) not in there:
                    _, wake, _ = await service.registrations.remove_binding(sid, Channel.CHAT)
                    service.wake(wake)


async def undo(service: Service, channels: Channel) -> None:
    """Keep these channels' bindings at the upstreams again.

    All that is wanted here is compared with what is there, and put right. What the upstream has held since before the
    cut-over, or by a call that was under way then, and nobody here knows any more, goes; what was made there since
    stays, for an import to find. May be done again, if it ended early.

    Raises:
        UpstreamError: an upstream could not be listed.
        StoreUnavailable, StoreFull, TooManyRequests
    """
    state = await service.switches.back(channels)
    notify, chat = service.configured
    for channel in channels:
        since = state.taken_back.get(channel, 0)
        async for keys in _keys(service, channel, lambda *_: True):
            service.wake(await service.switches.take_back(channel, keys))
        if channel is Channel.NOTIFY and notify is not None and since:
            await _forget_notify(service, notify, since)
        if channel is Channel.CHAT and chat is not None and since:
            await _forget_chat(service, chat, since)
        await service.switches.done(channel)


async def _forget_notify(service: Service, upstream: NotifyUpstream, since: int) -> None:
    async for bindings in upstream.bindings.walk():
        found = [f for f in map(notify_found, bindings) if f is not None and f.updated <= since]
        for first in range(0, len(found), AT_ONCE):
            service.wake(await service.switches.take_back(Channel.NOTIFY, (), found[first : first + AT_ONCE]))


async def _forget_chat(service: Service, upstream: ChatUpstream, since: int) -> None:
    async for bindings in upstream.bindings.walk():
        found = [f for f in map(chat_found, bindings) if f is not None and f.updated <= since]
        for sid in await _unknown(service, found):
            await upstream.bindings.delete(str(sid))


async def _unknown(service: Service, found: Sequence[Found]) -> list[BindingSid]:
    owners = {f.attributes.identity: service.fingerprints.owner(f.attributes.identity) for f in found}
    noted = await service.reading.chat_bindings_of(list(owners.values())) if owners else []
    known = {
        (identity, record.address) for identity, records in zip(owners, noted, strict=True) for record in records or ()
    }
    return [f.sid for f in found if (f.attributes.identity, f.address) not in known]


async def _keys(
    service: Service, channel: Channel, chosen: Callable[[Record, Channel], bool]
) -> AsyncIterator[list[bytes]]:
    """Keys of all records of a channel's bindings that are chosen, some at a time."""
    async for records in service.reading.walk(chat=channel is Channel.CHAT, records=AT_ONCE):
        keys = [record.fingerprint for record in records if chosen(record, channel)]
        if keys:
            yield keys
