"""What is found at an upstream, or in a file, and what becomes of it in a store."""

from __future__ import annotations

from service.domain.addresses import BindingType
from service.domain.record import Attributes, Channel
from service.domain.sids import BindingSid
from service.store.adoptions import Found, Outcome, Source
from tests.integration.store.desk import NOTIFY
from tests.integration.store.upstream_desk import UpstreamDesk, new_sid

LONG_AGO = 1_500_000_000
COLD, AUDIT, IMPORT = Source.COLD, Source.AUDIT, Source.IMPORT


def binding(
    identity: str,
    address: str,
    *tags: str,
    sid: BindingSid | None = None,
    kind: BindingType = BindingType.FCM,
    channel: Channel = NOTIFY,
    at: int = LONG_AGO,
) -> Found:
    """One that was found."""
    attributes = Attributes(identity, tags)
    sid = sid or new_sid()
    return Found(channel=channel, sid=sid, kind=kind, address=address, attributes=attributes, created=at, updated=at)


async def adopt(
    desk: UpstreamDesk, *found: Found, source: Source = COLD, began: int | None = None, dry: bool = False
) -> list[Outcome]:
    """Of a list that was asked for then, or when nothing of what has happened was yet to come."""
    return (await desk.adoptions.adopt(source, found, began=began, dry=dry)).outcomes


async def after(desk: UpstreamDesk) -> int:
    """A time of the store in seconds, later than everything that has happened."""
    return await desk.now() + 1
