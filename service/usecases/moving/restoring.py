"""Restoring: an archive's lines become what a Service wants, where nothing newer is here; resumable, and idempotent."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from service.domain.addresses import PUSH_TYPES
from service.domain.archive import FORM, ChatLine, Head, RegistrationLine, UnreadableLine, decode_line
from service.store.archives import AT_ONCE, Restored
from service.store.places import Place
from service.usecases.moving.crowding import LONGEST_LINE, crowded
from service.usecases.moving.pacing import RateLimit
from service.usecases.service import Service

_CHUNK = 1024 * 1024


class _Reached(msgspec.Struct, array_like=True):
    offset: int
    lines: int
    same_key: bool
    counts: dict[str, int]


class Progress(msgspec.Struct, frozen=True):
    """How far it has come."""

    bytes: int
    lines: int


async def restore(
    service: Service,
    archive: BinaryIO,
    *,
    dry_run: bool = False,
    pace: RateLimit | None = None,
    told: Callable[[Progress], None] = lambda _: None,
) -> Counter[Restored]:
    """Write the lines of an archive, which can be seeked in; goes on where an earlier run of the same archive ended.

    Answers what became of how many lines. Lines are checked some at a time, so that a faulty one ends it half-way.

    Raises:
        UnreadableLine: naming it. What came before has been written.
        StoreUnavailable, StoreFull, TooManyRequests: run again, it goes on.
    """
    place = Place(service.section, _name(archive, dry_run), _Reached)
    caps = crowded(archive, service.archives.cap)
    reached = await place.get() or _begin(service, archive)
    archive.seek(reached.offset)
    pace = pace or RateLimit(None)
    while True:
        lines, size = _some(archive, reached.lines)
        if not size:
            break
        if lines:
            outcomes, wake = await service.archives.restore(
                lines, same_key=reached.same_key, caps=caps, dry_run=dry_run
            )
            service.wake(wake)
            for outcome in outcomes:
                reached.counts[outcome.value.decode()] = reached.counts.get(outcome.value.decode(), 0) + 1
        reached.offset += size
        reached.lines += len(lines)
        await place.set(reached)
        told(Progress(reached.offset, reached.lines - 1))
        await pace.keep(len(lines))
    await place.clear()
    return Counter({Restored(name.encode()): count for name, count in reached.counts.items()})


def _name(archive: BinaryIO, dry_run: bool) -> bytes:
    # Of the whole: archives of one Service may begin alike and be equally long.
    archive.seek(0)
    digest = hashlib.sha256()
    while chunk := archive.read(_CHUNK):
        digest.update(chunk)
    return (b"dry:" if dry_run else b"file:") + digest.digest()[:16]


def _begin(service: Service, archive: BinaryIO) -> _Reached:
    archive.seek(0)
    raw = archive.readline(LONGEST_LINE)
    head = decode_line(raw, 1)
    if not isinstance(head, Head):
        raise UnreadableLine('line 1: is not the head of an archive, {"line": "bindery", …}')
    if head.form != FORM:
        raise UnreadableLine(f"line 1: form {head.form} is not known here")
    same_key = (head.service, head.key) == (service.sid, service.section.check)
    return _Reached(len(raw), 1, same_key, {})


def _some(archive: BinaryIO, number: int) -> tuple[list[RegistrationLine | ChatLine], int]:
    lines: list[RegistrationLine | ChatLine] = []
    size = 0
    while len(lines) < AT_ONCE:
        raw = archive.readline(LONGEST_LINE)
        if not raw:
            break
        size += len(raw)
        number += 1
        line = decode_line(raw, number)
        if isinstance(line, Head):
            raise UnreadableLine(f"line {number}: a second head")
        chat = line if isinstance(line, ChatLine) else line.chat
        kind = (chat.binding_type if chat else None) or line.binding_type
        if chat and kind not in PUSH_TYPES:
            raise UnreadableLine(f"line {number}: Chat is for apn, fcm and gcm only")
        if isinstance(line, RegistrationLine) and not line.notify and not chat:
            raise UnreadableLine(f"line {number}: neither Notify nor Chat")
        lines.append(line)
    return lines, size
