"""A Lua script, known to the server by the SHA-1 of its source."""

from __future__ import annotations

from hashlib import sha1

import msgspec


class Script(msgspec.Struct, frozen=True):
    """A named Lua script. `source` is its text, `sha` the hex digest that EVALSHA takes."""

    name: str
    source: bytes
    sha: str = ""

    def __post_init__(self) -> None:
        digest = sha1(self.source, usedforsecurity=False).hexdigest()
        # A frozen Struct has no other way to derive a field from another.
        msgspec.structs.force_setattr(self, "sha", digest)
