"""What was asked of a deployment and what it answered: the recorded operations that the checker examines."""

from __future__ import annotations

import time
from enum import Enum
from typing import TypeAlias

import msgspec

NOTIFY, CHAT = 1, 2
BOTH = NOTIFY | CHAT
NEVER = float("inf")


class Outcome(Enum):
    """What is known of an operation's effect."""

    DONE = "done"
    REFUSED = "refused"
    """Answered 4xx: it has had no effect."""
    UNKNOWN = "unknown"
    """Answered 5xx, or never: it may have taken effect, or may do so later."""


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """A registration, or a create over the compatible routes, which speaks of the Notify binding alone."""

    address: str
    identity: str
    device: str | None = None
    session: str | None = None
    issued_at: int | None = None
    channels: int = NOTIFY
    compatible: bool = False


class Logout(msgspec.Struct, frozen=True, kw_only=True):
    """A logout of a device, a session, an address, or of the whole identity. ``caller`` is an app's own session."""

    identity: str
    device: str | None = None
    session: str | None = None
    address: str | None = None
    caller: str | None = None


class TurnOff(msgspec.Struct, frozen=True, kw_only=True):
    """An app's removal of its registration of an address."""

    identity: str
    address: str


class Delete(msgspec.Struct, frozen=True, kw_only=True):
    """A compatible delete of a binding that was made for this identity and address.

    ``made`` is the start of the operation by the same client that made it, if its SID is what names it.
    """

    identity: str
    address: str
    made: float | None = None


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """A native lookup: for each identity that was asked for, the channels of its addresses. Shows desired state."""

    found: dict[str, dict[str, int]]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A Notify list by identity: what is applied and still desired. An address may be missing, none may be stale."""

    identity: str
    found: tuple[str, ...]


Write: TypeAlias = Register | Logout | TurnOff | Delete
Action: TypeAlias = Write | Lookup | Listing


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """An operation. ``start`` and ``end`` are seconds since the history began; of unknown outcome, it never ends."""

    client: int
    start: float
    end: float
    outcome: Outcome
    action: Action
    reason: str = ""
    """Why it was refused: the problem's slug. Of unknown outcome: what came instead of an answer."""
    given_up: float = NEVER
    """Of unknown outcome: when the client stopped waiting."""


class History(msgspec.Struct, kw_only=True):
    """Operations as they ended. ``epoch`` is the time of day at which the history began."""

    epoch: float = msgspec.field(default_factory=time.time)
    zero: float = msgspec.field(default_factory=time.monotonic)
    ops: list[Op] = msgspec.field(default_factory=list)
    unanswered: int = 0
    """Requests, reads included, that were not answered, or with 503."""

    def now(self) -> float:
        """Seconds since the history began."""
        return time.monotonic() - self.zero

    def add(self, client: int, start: float, outcome: Outcome, action: Action, reason: str = "") -> None:
        """Record an operation that ends now."""
        now, unknown = self.now(), outcome is Outcome.UNKNOWN
        self.ops.append(
            Op(
                client=client,
                start=start,
                end=NEVER if unknown else now,
                outcome=outcome,
                action=action,
                reason=reason,
                given_up=now if unknown else NEVER,
            )
        )
