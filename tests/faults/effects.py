"""What each operation does to one address, seen from that address: the contract as a register of its owner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tests.faults.history import NOTIFY, Delete, Listing, Logout, Lookup, Op, Outcome, Register, TurnOff, Write


class Held(NamedTuple):
    """Who holds an address, and as what."""

    owner: str
    device: str | None
    session: str | None
    channels: int


State = Held | None


def is_push(address: str) -> bool:
    """Whether it reaches an app installation; the only other addresses here are phone numbers (contract 7)."""
    return not address.startswith("+")


def after(action: Write, address: str, state: State) -> State:
    """The address's state once the operation has taken effect."""
    match action:
        case Register():
            return _after_register(action, address, state)
        case Delete():
            if state is None or state.owner != action.identity or address != action.address:
                return state
            left = state.channels & ~NOTIFY
            return state._replace(channels=left) if left else None
        case TurnOff():
            meant = state is not None and state.owner == action.identity and address == action.address
            return None if meant else state
        case Logout():
            return None if state is not None and _ends(action, address, state) else state


def _after_register(action: Register, address: str, state: State) -> State:
    if action.address != address:
        # A device has one address: what it registers displaces its earlier one, whoever that belonged to.
        moved = state is not None and action.device is not None and state.device == action.device
        return None if moved else state
    if action.compatible and state is not None and state.owner == action.identity:
        return state._replace(channels=state.channels | NOTIFY)
    session = action.session
    if session is None and action.issued_at is None and state is not None and state.owner == action.identity:
        session = state.session
    return Held(action.identity, action.device, session, action.channels)


def _ends(action: Logout, address: str, state: Held) -> bool:
    if state.owner != action.identity:
        return False
    if action.address is not None:
        return address == action.address
    if not is_push(address):
        return False
    if action.device is not None:
        return state.device == action.device
    return action.session is None or state.session == action.session


def possible(op: Op, state: State) -> bool:
    """Whether the operation could be answered so in this state: a delete that was answered 204 found something."""
    action = op.action
    if isinstance(action, Delete) and op.outcome is Outcome.DONE:
        return state is not None and state.owner == action.identity and bool(state.channels & NOTIFY)
    return True


class Seen(NamedTuple):
    """What a read says of one address and one identity: its channels, 0 if it does not show it."""

    identity: str
    channels: int
    exact: bool = True
    """Not so if it may be missing although it is desired, being not applied yet."""

    def agrees(self, state: State) -> bool:
        """Whether a read in this state would say so."""
        held = state.channels if state is not None and state.owner == self.identity else 0
        if self.exact:
            return held == self.channels
        return not self.channels or bool(held & self.channels)


class Projection(NamedTuple):
    """An operation as one address sees it: a write, or something read."""

    op: Op
    read: Seen | None = None


class Universe:
    """Which addresses, identities and devices of a history have to do with each other."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self.of_identity: dict[str, set[str]] = defaultdict(set)
        self.of_device: dict[str, set[str]] = defaultdict(set)
        for op in ops:
            if isinstance(op.action, Register) and op.outcome is not Outcome.REFUSED:
                self.of_identity[op.action.identity].add(op.action.address)
                if op.action.device is not None:
                    self.of_device[op.action.device].add(op.action.address)

    def touched(self, action: Write) -> set[str]:
        """The addresses that a write may change."""
        match action:
            case Register():
                same_device = self.of_device[action.device] if action.device is not None else set()
                return {action.address} | same_device
            case Delete() | TurnOff():
                return {action.address}
            case Logout(address=str() as address):
                return {address}
            case Logout(device=str() as device):
                return self.of_identity[action.identity] & self.of_device[device]
            case Logout():
                return self.of_identity[action.identity]


def by_address(ops: Iterable[Op]) -> dict[str, list[Projection]]:
    """The history of each address: the writes that may change it, and what every read said of it."""
    ops = list(ops)
    universe = Universe(ops)
    histories: dict[str, list[Projection]] = defaultdict(list)
    for op in ops:
        match op.action:
            case Lookup(found=found):
                for identity, shown in found.items():
                    for address in universe.of_identity[identity] | shown.keys():
                        histories[address].append(Projection(op, Seen(identity, shown.get(address, 0))))
            case Listing(identity=identity, found=listed):
                for address in listed:
                    histories[address].append(Projection(op, Seen(identity, NOTIFY, exact=False)))
            case write:
                if op.outcome is not Outcome.REFUSED:
                    for address in universe.touched(write):
                        histories[address].append(Projection(op))
    return histories
