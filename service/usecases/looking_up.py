"""Looking up: which registrations identities have, desired state at once (contract 2)."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.sids import is_sid, user_sid
from service.usecases.registering import check_identity
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


async def check_named(service: Service, identities: Sequence[str]) -> None:
    """Refuse identities of the form of a User SID, but for those that an upstream or an archive has brought.

    Nobody can register under such a name, yet whoever has one must be found, and logged out.

    Raises:
        InvalidInput: nothing is known of one of them, nor may be at an upstream.
        StoreUnavailable, TooManyRequests
    """
    alike = [identity for identity in identities if is_sid("US", identity)]
    if not alike or service.listings is not None:
        return
    owners = [service.fingerprints.owner(identity) for identity in alike]
    registered = await service.reading.registrations_of(owners)
    noted = await service.reading.chat_bindings_of(owners)
    for identity, records, chats in zip(alike, registered, noted, strict=True):
        if records is None and chats is None:
            check_identity(identity)
