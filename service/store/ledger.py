"""The ledger: work owed, taken under lease and settled by version (contract 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from service.domain.jobs import Lane, Ledger
from service.domain.record import NO_CHANNEL, Channel, Record
from service.store.section import Section


class Verdict(Enum):
    """What a backend made of an entry."""

    HELD = b"held"
    """It holds the desired version."""
    GONE = b"gone"
    """It holds nothing, as desired."""
    LATER = b"later"
    """It failed, and may not next time."""
    BACK = b"back"
    """It was not tried, or not to the end: due again at once, and no attempt counted."""
    FULL = b"full"
    """An upstream has no room for it until others of its identity are gone."""
    DEAD = b"dead"
    """It refused for good."""


class Settlement(msgspec.Struct, frozen=True):
    """The verdict on one record at the version that was worked on."""

    fingerprint: bytes
    version: int
    verdict: Verdict
    delay_ms: int = 0
    reason: str = ""

    def args(self) -> tuple[bytes, ...]:
        """The five arguments that the scripts read."""
        delay, reason = b"%d" % self.delay_ms, self.reason.encode()
        return self.fingerprint, b"%d" % self.version, self.verdict.value, delay, reason


class Owed(msgspec.Struct, frozen=True):
    """Since when an entry that was taken had been owed, and when it was taken: milliseconds by the store's clock.

    What was put off is owed since then. ``since_ms`` is None if its last lease has run out.
    """

    since_ms: int | None
    taken_ms: int


class Lease(msgspec.Struct, frozen=True):
    """Entries taken from a lane together, the token that settles them, and since when each had been owed."""

    token: bytes
    records: list[Record]
    owed: Sequence[Owed] = ()


class ChatWork(msgspec.Struct, frozen=True):
    """An identity taken from a Chat lane, with every Chat binding noted for it, and since when it had been owed."""

    owner: bytes
    records: list[Record]
    owed: Owed = Owed(None, 0)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """Work that a backend refused for good. ``at`` is in seconds since the epoch."""

    ledger: Ledger
    fingerprint: bytes
    at: int
    reason: str

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return self.ledger.value + self.fingerprint.hex()


class LedgerState(msgspec.Struct, frozen=True):
    """What a sweep saw of a ledger: entries owed, those of them that are due, and how late the oldest of these is."""

    depth: int
    due: int
    oldest_ms: int


class Swept(msgspec.Struct, frozen=True):
    """What a sweep saw: lanes it woke (two bytes each), dead letters, events of the stream, and the ledgers."""

    wake: bytes
    dead: int
    events: int
    ledgers: dict[Ledger, LedgerState]

    @property
    def depth(self) -> int:
        """Entries owed in both ledgers."""
        return sum(state.depth for state in self.ledgers.values())

    @property
    def oldest_ms(self) -> int:
        """How late the oldest due entry of both is."""
        return max(state.oldest_ms for state in self.ledgers.values())


class Ledgers:
    """The two ledgers of one Service."""

    def __init__(self, section: Section, *, events_max: int, external: Channel = NO_CHANNEL) -> None:
        self._section = section
        self._external = section.by_backend(external, lambda there: b"%d" % there)
        # What is taken for one backend must not be settled for another.
        self._notify = section.bound(Channel.NOTIFY, here=True) if external & Channel.NOTIFY else section.run
        self._settle_chat = (
            (section.bound(Channel.CHAT, here=True), section.bound(Channel.CHAT, here=False))
            if external & Channel.CHAT
            else (section.run, section.run)
        )
        self._events_max = b"%d" % events_max

    async def take(self, lane: Lane, limit: int, lease_ms: int) -> Lease | None:
        """Lease up to ``limit`` due entries of a Notify lane; None, and the wake flag cleared, if none is due."""
        reply = await self._notify("take", _name(lane), b"%d" % limit, b"%d" % lease_ms)
        if not reply:
            return None
        token: bytes = reply[0]
        records = [Record(reply[n], reply[n + 1]) for n in range(1, len(reply), 3)]
        return Lease(token, records, owed_since(reply[3::3], token, lease_ms))

    async def settle(self, lane: Lane, token: bytes, settlements: Sequence[Settlement]) -> int:
        """Settle leased entries; what no longer matches stays owed. Answers how many matched."""
        args = [part for settlement in settlements for part in settlement.args()]
        settled: int = await self._notify("settle", _name(lane), token, self._events_max, *args)
        return settled

    async def take_chat(self, lane: Lane, limit: int, lease_ms: int) -> tuple[bytes, list[ChatWork]] | None:
        """Lease up to ``limit`` due identities of a Chat lane: their token and work; None if none is due."""
        reply = await self._section.run("take_chat", _name(lane), b"%d" % limit, b"%d" % lease_ms)
        if not reply:
            return None
        token: bytes = reply[0]
        owed, work = owed_since([score for _, score, *_ in reply[1:]], token, lease_ms), []
        for (owner, _, *flat), since in zip(reply[1:], owed, strict=True):
            found = [Record(flat[n], flat[n + 1]) for n in range(0, len(flat), 2) if flat[n + 1]]
            work.append(ChatWork(owner, found, since))
        return token, work

    async def settle_chat(
        self, lane: Lane, token: bytes, owner: bytes, settlements: Sequence[Settlement], *, external: bool
    ) -> bool:
        """Settle one leased identity; answers whether the lease still held."""
        args = [part for settlement in settlements for part in settlement.args()]
        held = await self._settle_chat[external](
            "settle_chat", _name(lane), token, b"1" if external else b"0", self._events_max, owner, *args
        )
        return bool(held)

    async def go_on(self, lane: Lane) -> bool:
        """Hold the lane's wake flag for a further job, if anything is due."""
        return bool(await self._section.run("wake", _name(lane)))

    async def sweep(self) -> Swept:
        """Find lanes with overdue work that nobody has been woken for.

        The wake flags of the lanes that it answers are set: whoever sweeps must wake them.
        """
        wake, dead, events, notify, chat = await self._section.run("sweep")
        return Swept(wake, dead, events, {Ledger.NOTIFY: LedgerState(*notify), Ledger.CHAT: LedgerState(*chat)})

    async def dead_letters(self) -> list[DeadLetter]:
        """Every dead letter, oldest first."""
        flat = await self._section.run("dead")
        letters = [_letter(flat[n], flat[n + 1]) for n in range(0, len(flat), 2)]
        return sorted(letters, key=lambda letter: (letter.at, letter.name))

    async def dead_letter(self, ledger: Ledger, fingerprint: bytes) -> DeadLetter | None:
        """The dead letter of one record, or None: however many others there are."""
        found = await self._section.run("dead", ledger.value.encode() + fingerprint)
        return _letter(*found) if found else None

    async def retry(self, letter: DeadLetter) -> bytes:
        """Arm a dead letter again; answers the lanes to wake."""
        return await self._revive(letter, b"retry")

    async def drop(self, letter: DeadLetter) -> None:
        """Forget a dead letter. Its registration stays failed until it is registered again."""
        await self._revive(letter, b"drop")

    async def _revive(self, letter: DeadLetter, verb: bytes) -> bytes:
        name = letter.ledger.value.encode() + letter.fingerprint
        _, wake = await self._section.run("revive", name, verb, self._events_max, self._external)
        return bytes(wake)


def lanes(service_sid: str, wake: bytes) -> list[Lane]:
    """The lanes that a script asks to be woken."""
    return [Lane(service_sid, Ledger(chr(wake[n])), wake[n + 1] - ord("0")) for n in range(0, len(wake), 2)]


def _name(lane: Lane) -> bytes:
    return lane.key.encode()


def owed_since(scores: Sequence[bytes], token: bytes, lease_ms: int) -> list[Owed]:
    """Since when entries with these scores had been owed, when they were taken under this token."""
    # The token is the lease's end, as take.lua makes it; a score with a fraction is that of an earlier lease.
    taken_ms = int(token.partition(b".")[0]) - lease_ms
    return [Owed(None if b"." in score else int(score), taken_ms) for score in scores]


def _letter(name: bytes, value: bytes) -> DeadLetter:
    return DeadLetter(
        ledger=Ledger(chr(name[0])),
        fingerprint=name[1:],
        at=int.from_bytes(value[:4], "little"),
        reason=value[4:].decode(),
    )
