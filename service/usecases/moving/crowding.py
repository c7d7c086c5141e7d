"""Identities of which an archive holds more than may be registered: an upstream was found to have them (ADR 19)."""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

LONGEST_LINE = 1024 * 1024
"""Bytes of a line of an archive."""

_BUCKETS = 2**20


class _Line(msgspec.Struct):
    line: str
    identity: str = ""
    notify: bool = True


_decode = msgspec.json.Decoder(_Line).decode


def crowded(archive: BinaryIO, cap: int) -> dict[str, int]:
    """How many Notify registrations an archive has of each identity that has more of them than the cap.

    A million identities are not counted one by one: first in buckets, then those of full buckets alone.
    """
    buckets = array("L", bytes(array("L").itemsize * _BUCKETS))
    for identity in _identities(archive):
        buckets[_bucket(identity)] += 1
    if max(buckets) <= cap:
        return {}
    counts = Counter(identity for identity in _identities(archive) if buckets[_bucket(identity)] > cap)
    return {identity: count for identity, count in counts.items() if count > cap}


def _bucket(identity: str) -> int:
    return zlib.crc32(identity.encode()) % _BUCKETS


def _identities(archive: BinaryIO) -> Iterator[str]:
    archive.seek(0)
    while raw := archive.readline(LONGEST_LINE):
        try:
            line = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # told of when it is its turn
        if line.line == "registration" and line.notify:
            yield line.identity
