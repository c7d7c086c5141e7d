"""What a server says of itself."""

from __future__ import annotations

from service.redis.call import Reply


def info_of(reply: Reply) -> dict[str, str]:
    """The fields of an answer to INFO (https://redis.io/docs/latest/commands/info/)."""
    lines = reply.decode(errors="replace").splitlines() if isinstance(reply, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)
