"""Exporting: a Service's registrations and Chat bindings as the lines of an archive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypedDict

from service.domain.archive import ChatLine, ChatPart, Head, RegistrationLine
from service.domain.fingerprints import NO_LINK, NO_SESSION
from service.domain.record import Channel, Record, State
from service.usecases.service import Service

_RECORDS = 200


async def export(service: Service) -> AsyncIterator[list[Head | RegistrationLine | ChatLine]]:
    """The lines of a Service's archive, some at a time.

    Each is true at the time it was read; what registers meanwhile may be in it or not. What was removed is not in it,
    even if its removal is still owed.

    Raises:
        StoreUnavailable, TooManyRequests
    """
    yield [Head(service=service.sid, key=service.section.check)]
    async for scanned in service.reading.walk(chat=False, records=_RECORDS):
        records = [record for record in scanned if record.channels]
        linked = await asyncio.gather(*(_chat_of(service, record) for record in records))
        found = zip(records, linked, strict=True)
        yield [_registration(r, chat) for r, chat in found if chat or r.channels & Channel.NOTIFY]
    async for records in service.reading.walk(chat=True, records=_RECORDS):
        yield [_chat_line(record) for record in records if record.channels and record.link == NO_LINK]


async def _chat_of(service: Service, record: Record) -> Record | None:
    if not record.channels & Channel.CHAT:
        return None
    found = await service.reading.chat_binding(record.link)
    return found if found is not None and found.channels else None


class _Common(TypedDict):
    sid: str
    applied: bool
    version: int
    generation: int
    created: int
    updated: int
    seen: int


def _common(record: Record, channel: Channel) -> _Common:
    applied = (record.notify if channel is Channel.NOTIFY else record.chat) == State.APPLIED
    # Of what is still to come, the SID that it will have.
    shown = record.visible_sid(channel) if applied else None
    return _Common(
        sid=str(shown or record.sid),
        applied=applied,
        version=record.version,
        generation=record.generation,
        created=record.created,
        updated=record.updated,
        seen=record.seen,
    )


def _registration(record: Record, chat: Record | None) -> RegistrationLine:
    attributes = record.attributes
    return RegistrationLine(
        **_common(record, Channel.NOTIFY),
        identity=attributes.identity,
        binding_type=record.type,
        address=record.address,
        notify=bool(record.channels & Channel.NOTIFY),
        device_id=record.extras.device_id,
        session=None if record.session == NO_SESSION else record.session.hex(),
        tags=attributes.tags,
        credential_sid=attributes.credential_sid,
        protocol_version=attributes.protocol_version,
        chat=_part(chat, record) if chat else None,
    )


def _part(chat: Record, record: Record) -> ChatPart:
    return ChatPart(
        **_common(chat, Channel.CHAT),
        endpoint=chat.address,
        binding_type=None if chat.type is record.type else chat.type,
        message_types=chat.attributes.message_types,
        credential_sid=chat.attributes.credential_sid,
    )


def _chat_line(chat: Record) -> ChatLine:
    return ChatLine(
        **_common(chat, Channel.CHAT),
        identity=chat.attributes.identity,
        endpoint=chat.address,
        binding_type=chat.type,
        message_types=chat.attributes.message_types,
        credential_sid=chat.attributes.credential_sid,
    )
