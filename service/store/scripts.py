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
