"""API keys, by which servers are told apart."""

from typing import Any

from msgspec import Struct


class ApiKey(Struct, frozen=True, kw_only=True):
    """A server's credentials besides the account's own."""

    sid: str
    secret: str

    def __repr__(self) -> str:
        return f"ApiKey(sid={self.sid!r}, secret=…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("sid", self.sid)]
