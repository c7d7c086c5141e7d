"""Whether one address's history can be explained by one order of its operations that is consistent with real time.

Wing and Gong's search in Lowe's just-in-time form: it walks along the starts and ends of operations with the set of
everything that could be true, and an operation is made to take effect only when its answer, or what a read has
seen, asks for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple, TypeAlias

from tests.faults.effects import Projection, State, after, possible
from tests.faults.history import NEVER, Op, Write

LIMIT = 100_000

SETTLED = 10.0
"""Seconds after which a request that was given up has taken effect or never will: nothing here holds one for longer."""


class Overwhelmed(Exception):
    """Too much overlaps in this history to be decided."""


class Config(NamedTuple):
    """One way things may stand: the address's state, and which of the open operations have taken effect."""

    state: State
    used: frozenset[int]


def first_unexplained(address: str, history: Sequence[Projection], fences: Callable[[Op, Op], bool]) -> int | None:
    """The index of the first answer that no order of the operations explains, or None.

    ``fences`` says of two operations whether the first, once it has taken effect, keeps the second from doing so.

    Raises:
        Overwhelmed
    """
    return _Search(address, history, fences).run()


_Cost: TypeAlias = tuple[int, int]


class _Search:
    def __init__(self, address: str, history: Sequence[Projection], fences: Callable[[Op, Op], bool]) -> None:
        self._address = address
        self._history = history
        self._fences = fences
        self._fenced_by: dict[int, set[int]] = defaultdict(set)
        self._reads: set[int] = set()
        self._writes: dict[int, Write] = {}
        self._forever: frozenset[int] = frozenset(n for n, p in enumerate(history) if p.op.end == NEVER)
        self._numbers = count()

    def run(self) -> int | None:
        configs = {Config(None, frozenset())}
        for n, ends in _moments(self._history):
            read = self._history[n].read
            if not ends:
                if read is None:
                    self._writes[n] = self._history[n].op.action  # type: ignore[assignment]  # reads have a `read`
                    self._note_fences(n)
                else:
                    self._reads.add(n)
                    configs = {self._settled(config) for config in configs}
                continue
            if n in self._forever:
                # Now or never: from here on it has taken effect, or it has not.
                without = {Config(c.state, c.used - {n}) for c in configs}
                configs = self._leanest(without | self._returned(n, configs))
            else:
                configs = self._returned(n, configs)
            if not configs:
                return n
            self._writes.pop(n, None)
            self._reads.discard(n)
        return None

    def _note_fences(self, n: int) -> None:
        # Between what is under way at once: where a logout had ended before, the answer alone tells a breach.
        for m in self._writes:
            for first, second in ((n, m), (m, n)):
                if self._fences(self._history[first].op, self._history[second].op):
                    self._fenced_by[second].add(first)

    def _is_fenced(self, n: int, config: Config) -> bool:
        # What has ended has taken effect; but of what never ends nobody knows.
        return any(m in config.used or (m not in self._writes and m not in self._forever) for m in self._fenced_by[n])

    def _settled(self, config: Config) -> Config:
        # An open read that agrees with the state may as well have happened now: it changes nothing.
        agree = [n for n in self._reads - config.used if self._agrees(n, config.state)]
        return Config(config.state, config.used.union(agree)) if agree else config

    def _agrees(self, n: int, state: State) -> bool:
        read = self._history[n].read
        return read is not None and read.agrees(state)

    def _returned(self, n: int, configs: Iterable[Config]) -> set[Config]:
        reached = {config for config in configs if n in config.used}
        frontier = [(self._cost(config), config) for config in configs if n not in config.used]
        heapify(frontier)
        lean, looks = _Lean(self._forever), 0
        while frontier:
            _, config = heappop(frontier)
            if not lean.takes(config):
                continue
            looks += 1
            if looks > LIMIT:
                raise Overwhelmed(f"{len(self._writes)} open writes")
            for following in self._steps(config):
                if n in following.used:
                    reached.add(following)
                else:
                    heappush(frontier, (self._cost(following), following))
        return self._leanest({Config(c.state, c.used - {n}) for c in reached})

    def _cost(self, config: Config) -> _Cost:
        # The number of its kind keeps what cannot be compared from being compared.
        return len(config.used & self._forever), next(self._numbers)

    def _steps(self, config: Config) -> Iterable[Config]:
        tried: set[tuple[Write, frozenset[int]]] = set()
        for n in sorted(self._writes.keys() - config.used, key=lambda n: (self._history[n].op.end, n)):
            write, op = self._writes[n], self._history[n].op
            # Of equal operations the one that must end first goes first; but equal logouts may fence different ones.
            key = write, frozenset(m for m in self._writes if n in self._fenced_by.get(m, ()))
            if key in tried or not possible(op, config.state) or self._is_fenced(n, config):
                continue
            tried.add(key)
            state = after(write, self._address, config.state)
            if state != config.state or n not in self._forever:
                yield self._settled(Config(state, config.used | {n}))

    def _leanest(self, configs: set[Config]) -> set[Config]:
        lean = _Lean(self._forever)
        return {config for config in sorted(configs, key=self._cost) if lean.takes(config)}


class _Lean:
    """What may happen at any later time, or never, is worth more unused: who used more to stand the same is let go."""

    def __init__(self, forever: frozenset[int]) -> None:
        self._forever = forever
        self._kept: dict[tuple[State, frozenset[int]], list[frozenset[int]]] = defaultdict(list)

    def takes(self, config: Config) -> bool:
        """Whether nobody before stood the same with less. Asked of those first who used least."""
        optional = config.used & self._forever
        rivals = self._kept[config.state, config.used - self._forever]
        if any(rival <= optional for rival in rivals):
            return False
        rivals.append(optional)
        return True


def _moments(history: Sequence[Projection]) -> list[tuple[int, bool]]:
    # Starts come before ends of the same instant: those operations overlap.
    moments = [(p.op.start, False, n) for n, p in enumerate(history)]
    moments += [(min(p.op.end, p.op.given_up + SETTLED), True, n) for n, p in enumerate(history)]
    return [(n, ends) for _, ends, n in sorted(moments)]
