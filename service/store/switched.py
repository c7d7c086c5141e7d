"""The section of a Service that is configured with an upstream: at any time it may be cut over to this store.

Where its bindings are kept stands in the anchor. Every transaction that depends on it says what its caller believes,
and is refused, having written nothing, where that has changed: so a switch holds at once, for every process. Services
without an upstream have nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from service.domain.errors import BackendSwitched
from service.domain.record import Channel
from service.redis import ReplyError
from service.store.scripts import depends_on_backend, guarded
from service.store.section import Argument, Run, Section, as_ours

_TRIES = 3


class _Belief(bytes):
    """The channels whose bindings the caller believes to be kept here."""


class SwitchedSection(Section):
    """A section whose ``cut_over`` follows the anchor."""

    _script = staticmethod(guarded)

    async def run(self, name: str, *args: Argument) -> Any:
        """As ``Section.run``; what meets a switch is said again, as it is to be said now."""
        for _ in range(_TRIES - 1):
            try:
                return await super().run(name, *args)
            except BackendSwitched:
                continue
        return await super().run(name, *args)

    def bound(self, channel: Channel, *, here: bool) -> Run:
        """As ``Section.bound``: where it is otherwise by now, they are refused."""
        run = super().run

        async def bound(name: str, *args: Argument) -> Any:
            belief = self.cut_over | channel if here else self.cut_over & ~channel
            return await run(name, *args, _Belief(b"%d" % belief))

        return bound

    def by_backend(self, external: Channel, say: Callable[[Channel], bytes]) -> Argument:
        """An argument that depends on the channels whose bindings are at an upstream."""
        return lambda: say(external & ~self.cut_over)

    async def _run(self, name: str, args: Sequence[Any], seconds: float | None = None) -> Any:
        said = [arg() if callable(arg) else arg for arg in args]
        if not depends_on_backend(name):
            return await super()._run(name, said, seconds)
        if not said or not isinstance(said[-1], _Belief):
            said.append(b"%d" % self.cut_over)
        try:
            return await super()._run(name, said, seconds)
        except ReplyError as error:
            if error.code != "BACKEND":
                raise
        await self.follow()
        raise BackendSwitched

    async def _open(self) -> None:
        await super()._open()
        await self.follow()

    async def follow(self) -> None:
        """See where the bindings are kept now.

        Raises:
            StoreUnavailable, TooManyRequests: nobody can tell.
        """
        with as_ours():
            self.cut_over = Channel(int(await super()._run("backend", ()) or 0))
