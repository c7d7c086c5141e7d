"""Which hash slot a key is in, and which primary serves a slot.

Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator
from typing import Final

from service.redis.call import Reply
from service.redis.errors import ReplyError
from service.redis.url import TCP

SLOTS: Final = 16384


def key_slot(key: bytes) -> int:
    """The slot of a key: CRC16 (XMODEM) of its hash tag if it has a non-empty one, else of all of it."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS


def read_slots(reply: Reply, asked: TCP) -> Iterator[tuple[range, TCP]]:
    """Reads a CLUSTER SLOTS reply: ranges of slots with their primaries.

    A primary that doesn't know its own host name is taken to be at the host that was `asked`.
    """
    for entry in reply if isinstance(reply, list) else ():
        match entry:
            case [int(first), int(last), [host, int(port), *_], *_]:
                name = host.decode() if isinstance(host, bytes) else ""
                yield range(first, last + 1), TCP(name if name not in ("", "?") else asked.host, port)


def read_redirection(error: ReplyError, asked: TCP) -> tuple[int, TCP]:
    """Reads `MOVED slot host:port` or `ASK slot host:port`. Raises ValueError if it is neither."""
    slot, _, endpoint = error.message.partition(" ")
    host, _, port = endpoint.split(" ")[0].rpartition(":")
    return int(slot), TCP(host.strip("[]?") or asked.host, int(port))
