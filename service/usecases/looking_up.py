"""Looking up: which registrations identities have, desired state at once (contract 2)."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.sids import user_sid
from service.usecases.service import Service
from service.usecases.views import RegistrationView, view


async def look_up(service: Service, identities: Sequence[str]) -> list[tuple[str, list[RegistrationView]]]:
    """For each identity, in order, its User SID and its registrations. One round trip to the store.

    With an upstream, what was never registered here is looked for there first.
    """
    if service.cold is not None:
        await service.cold.warm(identities)
    owners = [service.fingerprints.owner(identity) for identity in identities]
    found = await service.reading.registrations_of(owners)
    return [
        (
            user_sid(owner),
            [view(service.sid, record, service.own_chat(chat)) for record, chat in pairs or () if record.channels],
        )
        for owner, pairs in zip(owners, found, strict=True)
    ]
