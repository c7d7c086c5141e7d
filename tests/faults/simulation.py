"""A deployment in memory, which takes effect at one instant and can be given bugs: what the checker is tried on."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum

from tests.faults.effects import Held, State, after, is_push
from tests.faults.history import (
    CHAT,
    NEVER,
    NOTIFY,
    Action,
    Delete,
    History,
    Listing,
    Logout,
    Lookup,
    Op,
    Outcome,
    Register,
    TurnOff,
    Write,
)

CAP = 20


class Bug(Enum):
    """What can be wrong with it; each strikes once."""

    LOST_WRITE = "an answered registration is forgotten a little later"
    LEAK = "for 50 ms after a logout, lookups show what it ended"
    STALE_LIST = "a list shows a binding of the former owner after a takeover"
    DOUBLE_OWNER = "a takeover leaves the address with its former owner too"
    OVER_CAP = "a 21st binding is let in"
    RESURRECTED = "a session that was logged out registers again"
    UNDONE = "an earlier registration comes back over a later one"


class Simulation:
    """Clients take random actions; each takes effect at a random instant between its start and its end."""

    def __init__(self, seed: int, bug: Bug | None = None, *, clients: int = 6, count: int = 400) -> None:
        self.history = History(epoch=1_000_000.0, zero=0.0)
        self.struck = False
        self._random = random.Random(seed)  # noqa: S311  # repeatable, not secret
        self._bug = bug
        self._armed_at = count // 3
        self._state: dict[str, State] = {}
        self._ghosts: list[tuple[float, str, str, int]] = []
        self._dead: set[tuple[str, str]] = set()
        self._undo: list[tuple[float, str, Held]] = []
        self._taken = 0
        self._run(clients, count)

    def _run(self, clients: int, count: int) -> None:
        # (instant of effect, client, start, end): drawn ahead, then run in the order of the instants.
        plan, at = [], [0.0] * clients
        for _ in range(count):
            client = self._random.randrange(clients)
            start = at[client] + self._random.uniform(0.0001, 0.004)
            end = start + self._random.uniform(0.001, 0.02)
            at[client] = end
            plan.append((self._random.uniform(start, end), client, start, end))
        for n, (instant, client, start, end) in enumerate(sorted(plan)):
            self._taken = n
            self._operate(instant, client, start, end)
        for at_end in (max(at) + 1, max(at) + 2):
            self._record(clients, at_end, at_end + 0.01, Outcome.DONE, self._look(at_end, self._identities(clients)))

    def _identities(self, clients: int) -> list[str]:
        return [f"i{n}" for n in range(clients)] + ["crowd"]

    def _record(
        self, client: int, start: float, end: float, outcome: Outcome, action: Action, reason: str = ""
    ) -> None:
        end = NEVER if outcome is Outcome.UNKNOWN else end
        self.history.ops.append(Op(client=client, start=start, end=end, outcome=outcome, action=action, reason=reason))

    def _operate(self, instant: float, client: int, start: float, end: float) -> None:
        action, reason = self._choose(instant, client), ""
        outcome = Outcome.DONE
        for due, address, held in [u for u in self._undo if u[0] <= instant]:
            self._state[address] = held
            self._undo.remove((due, address, held))
        if not isinstance(action, Lookup | Listing):
            reason = self._refusal(action)
            unknown = self._random.random() < 0.05
            if reason:
                outcome = Outcome.REFUSED
            elif unknown:
                outcome = Outcome.UNKNOWN
            if not reason and not (unknown and self._random.random() < 0.5):
                if isinstance(action, Delete) and not unknown and not self._holds_notify(action):
                    outcome, reason = Outcome.REFUSED, "not-found"
                else:
                    self._effect(instant, action, known=outcome is Outcome.DONE)
        self._record(client, start, end, outcome, action, reason)

    def _holds_notify(self, action: Delete) -> bool:
        held = self._state.get(action.address)
        return held is not None and held.owner == action.identity and bool(held.channels & NOTIFY)

    def _choose(self, instant: float, client: int) -> Action:
        pick, me = self._random, f"i{client}"
        address = pick.choice([f"shared-{pick.randrange(3)}", f"own-{client}-{pick.randrange(3)}", f"+{client}"])
        device = None if address.startswith(("shared", "+")) else f"d{client}"
        session = f"s{client}-{pick.randrange(3)}"
        channels = NOTIFY | CHAT if device and pick.random() < 0.3 else NOTIFY
        registration = Register(address=address, identity=me, device=device, session=session, channels=channels)
        crowded = Register(address=f"crowd-{pick.randrange(30)}", identity="crowd")
        choices: list[tuple[int, Callable[[], Action]]] = [
            (6, lambda: registration),
            (4, lambda: crowded),
            (1, lambda: Register(address=address, identity=me, compatible=True)),
            (1, lambda: Logout(identity=me, session=session)),
            (1, lambda: Logout(identity=me, address=address)),
            (1, lambda: TurnOff(identity=me, address=address)),
            (1, lambda: Delete(identity=me, address=address)),
            (8, lambda: self._look(instant, [me, f"i{pick.randrange(client + 1)}", "crowd"])),
            (2, lambda: self._list(instant, me)),
        ]
        return pick.choices([make for _, make in choices], [weight for weight, _ in choices])[0]()

    def _refusal(self, action: Write) -> str:
        if not isinstance(action, Register):
            return ""
        dead = action.session is not None and (action.identity, action.session) in self._dead
        if dead and not self._strikes(Bug.RESURRECTED):
            return "session-ended"
        held = {a for a, s in self._state.items() if s and s.owner == action.identity and s.channels & NOTIFY}
        if len(held - {action.address}) >= CAP and not (len(held) == CAP and self._strikes(Bug.OVER_CAP)):
            return "cap-reached"
        return ""

    def _strikes(self, bug: Bug) -> bool:
        if self._bug is not bug or self.struck or self._taken < self._armed_at:
            return False
        self.struck = True
        return True

    def _effect(self, instant: float, action: Write, *, known: bool) -> None:
        before = dict(self._state)
        for address in {*self._state, *([action.address] if action.address else [])}:
            self._state[address] = after(action, address, self._state.get(address))
        if isinstance(action, Logout):
            if action.session is not None:
                self._dead.add((action.identity, action.session))
            ended = [a for a, held in before.items() if held and not self._state[a]]
            if known and ended and is_push(ended[0]) and self._strikes(Bug.LEAK):
                self._ghosts.append((instant + 0.05, action.identity, ended[0], NOTIFY))
        if isinstance(action, Register) and known:
            old, new = before.get(action.address), self._state[action.address]
            if old and new and old.owner != new.owner:
                if self._strikes(Bug.DOUBLE_OWNER):
                    self._ghosts.append((NEVER, old.owner, action.address, old.channels))
                if self._strikes(Bug.STALE_LIST):
                    self._ghosts.append((instant + 0.3, old.owner, action.address, 0))
                if self._strikes(Bug.UNDONE):
                    self._undo.append((instant + 0.05, action.address, old))
            if self._strikes(Bug.LOST_WRITE):
                self._state[action.address] = None

    def _shown(self, instant: float, identity: str) -> dict[str, int]:
        shown = {a: s.channels for a, s in self._state.items() if s is not None and s.owner == identity}
        return shown | {
            address: channels
            for until, owner, address, channels in self._ghosts
            if owner == identity and instant < until and channels
        }

    def _look(self, instant: float, identities: list[str]) -> Lookup:
        return Lookup(found={identity: self._shown(instant, identity) for identity in identities})

    def _list(self, instant: float, identity: str) -> Listing:
        desired = [a for a, channels in self._shown(instant, identity).items() if channels & NOTIFY]
        stale = [a for until, owner, a, channels in self._ghosts if owner == identity and instant < until]
        applied = [a for a in desired if self._random.random() < 0.8]
        return Listing(identity=identity, found=tuple(dict.fromkeys([*applied, *stale])))
