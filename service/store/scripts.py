"""The store's transactions: one Lua file each, with what they share included where they ask for it."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from service.redis import Script

_INCLUDE = re.compile(r"^--@include (\w+)\n", re.MULTILINE)


@cache
def script(name: str) -> Script:
    """The transaction in ``lua/<name>.lua``, its includes from ``lua/lib`` in place."""
    folder = files("service.store") / "lua"
    source = (folder / f"{name}.lua").read_text()
    whole = _INCLUDE.sub(lambda found: (folder / "lib" / f"{found[1]}.lua").read_text(), source)
    return Script(name, whole.encode())


_ANY_BACKEND = frozenset({"audit_turn", "clock", "lists", "open", "place", "sweep", "switch", "take_chat", "wake"})
"""Those that write, but nothing that depends on where bindings are kept."""

_JUDGED_BY = frozenset({"chat_logouts"})
"""Those that only read, but what an upstream has shown is judged by them: it must not have been switched since."""

_GUARD = b"""
-- Said last: the channels whose bindings are kept here, as the caller believes.
if (redis.call('HGET', KEYS[1], 'backend') or '0') ~= table.remove(ARGV) then
  error({ err = 'BACKEND it is another now' })
end
"""


@cache
def depends_on_backend(name: str) -> bool:
    """Whether a transaction does something else where a Service's bindings are kept at an upstream."""
    if name in _JUDGED_BY:
        return True
    return name not in _ANY_BACKEND and b"no-writes" not in script(name).source.partition(b"\n")[0]


@cache
def guarded(name: str) -> Script:
    """The same for Services with an upstream: if it depends on the backend, it is told which the caller believes in."""
    plain = script(name)
    if not depends_on_backend(name):
        return plain
    shebang, _, rest = plain.source.partition(b"\n")
    return Script(name, shebang + _GUARD + rest)
