"""A Service's section of a real store, with the words that tests are told in."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, cast

from service.domain.addresses import BindingType
from service.domain.events import Event, decode_event
from service.domain.jobs import LANES, Lane, Ledger
from service.domain.record import HEADER, Attributes, Channel, Extras, Record
from service.domain.sids import BindingSid
from service.redis import Redis
from service.store.ledger import ChatWork, Ledgers, Settlement, Verdict
from service.store.reading import Reading
from service.store.registrations import Registered, Registrations, Target, Wanted
from service.store.section import Section

KEY = b"k" * 32
NOTIFY, CHAT, BOTH = Channel.NOTIFY, Channel.CHAT, Channel.NOTIFY | Channel.CHAT

TOKEN_SECONDS = 3600
"""The age that an app's token may have at most."""


SEEN = 15
"""The field of a record's header that says when its app was last here."""


class Desk:
    """One fresh Service."""

    def __init__(self, redis: Redis, *, cap: int = 20, replace_oldest: bool = False, sid: str | None = None) -> None:
        self.redis = redis
        self.sid = sid or f"IS{secrets.token_hex(16)}"
        self.section = Section(redis, self.sid, KEY)
        self.registrations = Registrations(
            self.section,
            name="desk",
            cap=cap,
            replace_oldest=replace_oldest,
            token_seconds=TOKEN_SECONDS,
            events_max=1000,
        )
        self.ledgers = Ledgers(self.section, events_max=1000)
        self.reading = Reading(self.section)

    def fingerprint(self, address: str) -> bytes:
        return self.section.fingerprints.address(address)

    def owner(self, identity: str) -> bytes:
        return self.section.fingerprints.owner(identity)

    async def login(
        self,
        identity: str,
        address: str,
        device: str | None = None,
        *,
        channels: Channel = NOTIFY,
        endpoint: str | None = None,
        kind: BindingType = BindingType.FCM,
        tags: tuple[str, ...] = (),
        session: str | None = None,
        iat: int | None = None,
        keep: bool = False,
        settle: bool = False,
    ) -> Registered:
        if channels & CHAT and endpoint is None:
            endpoint = f"{identity}:{device or address}"
        wanted = Wanted(
            kind=kind,
            address=address,
            attributes=Attributes(identity, tags),
            extras=Extras(device, endpoint),
            channels=channels,
            session=session,
            issued_at=iat,
            keep=keep,
        )
        return await self.registrations.register(wanted, at_once=BOTH if settle else Channel(0))

    async def logout(
        self,
        identity: str,
        *,
        device: str | None = None,
        session: str | None = None,
        address: str | None = None,
        channels: Channel = BOTH,
        messaging: bool = False,
        own_session: str | None = None,
    ) -> int:
        target, named = Target.IDENTITY, tuple[str, ...]()
        if device:
            target, named = Target.DEVICE, (device,)
        elif session:
            target, named = Target.SESSION, (session,)
        elif address:
            target, named = Target.ADDRESS, (address,)
        ended, _ = await self.registrations.logout(
            identity, target, named, channels=channels, include_messaging=messaging, session=own_session
        )
        return ended

    async def delete(self, sid: BindingSid, *, chat: bool = False) -> bool:
        removed, _, _ = await self.registrations.remove_binding(sid, CHAT if chat else NOTIFY, at_once=BOTH)
        return removed

    async def desired(self, identity: str) -> set[str]:
        """The addresses that a native lookup shows."""
        [found] = await self.reading.registrations_of([self.owner(identity)])
        return {record.address for record, _ in found or () if record.channels}

    async def applied(self, identity: str) -> set[str]:
        """The addresses that the Notify routes show."""
        [found] = await self.reading.registrations_of([self.owner(identity)])
        return {record.address for record, _ in found or () if record.visible(NOTIFY)}

    async def chats(self, identity: str) -> set[str]:
        """The endpoints that the Chat routes show."""
        [found] = await self.reading.chat_bindings_of([self.owner(identity)])
        return {record.address for record in found or () if record.visible(CHAT)}

    async def record(self, address: str) -> Record | None:
        return await self.reading.registration(self.fingerprint(address))

    async def rewrite(self, address: str, change: Callable[[bytes], bytes]) -> None:
        """Change the record of an address past all scripts."""
        fingerprint = self.fingerprint(address)
        bucket = self.section.anchor + b":r" + fingerprint[:2]
        raw = cast(bytes, await self.redis.command("HGET", bucket, fingerprint, key=self.section.anchor))
        await self.redis.command("HSET", bucket, fingerprint, change(raw), key=self.section.anchor)

    async def age(self, address: str, seconds: int) -> None:
        """As if its app had been here last so much earlier."""

        def aged(raw: bytes) -> bytes:
            fields = list(HEADER.unpack_from(raw))
            fields[SEEN] -= seconds
            return HEADER.pack(*fields) + raw[HEADER.size :]

        await self.rewrite(address, aged)

    async def addresses(self) -> dict[str, str]:
        """Every desired address of the Service and its owner, by the Service-wide list."""
        records, more = await self.reading.scan(
            chat=False, position=b"", backwards=False, records=10_000, buckets=70_000
        )
        assert more == b""
        return {r.address: r.attributes.identity for r in records if r.channels}

    def lane(self, address: str) -> Lane:
        return Lane(self.sid, Ledger.NOTIFY, self.fingerprint(address)[2] % LANES)

    def chat_lane(self, identity: str) -> Lane:
        return Lane(self.sid, Ledger.CHAT, self.owner(identity)[2] % LANES)

    async def settle(self, address: str) -> None:
        """What the workers do for the Notify lane of an address."""
        await self._drain_notify(self.lane(address))

    async def _drain_notify(self, lane: Lane) -> None:
        while lease := await self.ledgers.take(lane, 100, 30_000):
            await self.ledgers.settle(lane, lease.token, [verdict(r) for r in lease.records])

    async def drain(self) -> None:
        """What the workers do, until nothing is due."""
        for number in range(LANES):
            await self._drain_notify(Lane(self.sid, Ledger.NOTIFY, number))
            lane = Lane(self.sid, Ledger.CHAT, number)
            while taken := await self.ledgers.take_chat(lane, 100, 30_000):
                for work in taken[1]:
                    await self.ledgers.settle_chat(lane, taken[0], work.owner, chat_verdicts(work), external=False)

    async def kill(self, address: str) -> None:
        """A backend refuses what is due in the Notify lane of an address, for good."""
        lane = self.lane(address)
        lease = await self.ledgers.take(lane, 10, 30_000)
        assert lease is not None
        dead = [Settlement(r.fingerprint, r.version, Verdict.DEAD, reason="refused") for r in lease.records]
        await self.ledgers.settle(lane, lease.token, dead)
        assert await self.ledgers.take(lane, 10, 30_000) is None

    async def kill_chat(self, identity: str, *endpoints: str) -> None:
        """A backend refuses the Chat bindings of these endpoints for good, and takes all else that is due."""
        lane = self.chat_lane(identity)
        taken = await self.ledgers.take_chat(lane, 10, 30_000)
        assert taken is not None
        token, [work] = taken
        refused = {r.fingerprint for r in work.records if r.address in endpoints}
        assert len(refused) == len(endpoints)
        settlements = [
            Settlement(s.fingerprint, s.version, Verdict.DEAD, reason="refused") if s.fingerprint in refused else s
            for s in chat_verdicts(work)
        ]
        await self.ledgers.settle_chat(lane, token, work.owner, settlements, external=False)

    async def events(self) -> list[Event]:
        entries = await self.redis.command("XRANGE", self.section.anchor + b":e", "-", "+", key=self.section.anchor)
        return [decode_event(entry_id, fields) for entry_id, fields in cast(Any, entries)]

    async def now(self) -> int:
        """The store's clock, in seconds."""
        return (await self.time())[0]

    async def time(self) -> tuple[int, int]:
        """The store's clock: seconds, and microseconds within the second."""
        seconds, micros = cast(Any, await self.redis.command("TIME", key=self.section.anchor))
        return int(seconds), int(micros)


def verdict(record: Record) -> Settlement:
    held = Verdict.HELD if record.channels & NOTIFY else Verdict.GONE
    return Settlement(record.fingerprint, record.version, held)


def chat_verdicts(work: ChatWork) -> list[Settlement]:
    return [Settlement(r.fingerprint, r.version, Verdict.HELD if r.channels else Verdict.GONE) for r in work.records]
