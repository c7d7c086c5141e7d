"""A Service whose Notify bindings are kept at an upstream, told by what its workers see there."""

from __future__ import annotations

import secrets

from service.domain.addresses import BindingType
from service.domain.record import Attributes, Channel, Record, encode_blob
from service.domain.sids import BindingSid
from service.redis import Redis
from service.store.adoptions import Adoptions
from service.store.ledger import Ledgers, Verdict
from service.store.registrations import Registrations
from service.store.upstream_ledger import Observation, Report, Seen, Taken, UpstreamLease, UpstreamLedger
from tests.integration.store.desk import NOTIFY, TOKEN_SECONDS, Desk

LONGEST_MS = 300
"""How long a lost request may still take effect."""
LEASE_MS = 20_000


def new_sid() -> BindingSid:
    """A SID as an upstream gives it."""
    return BindingSid.of(secrets.token_bytes(16))


def seen(sid: BindingSid | None, identity: str, *tags: str) -> Seen:
    """A binding there."""
    return Seen(sid, BindingType.FCM, encode_blob(Attributes(identity, tags)))


class UpstreamDesk(Desk):
    """One fresh Service with an upstream."""

    def __init__(self, redis: Redis, *, longest_ms: int = LONGEST_MS, external: Channel = NOTIFY) -> None:
        super().__init__(redis)
        self.registrations = Registrations(
            self.section,
            name="main",
            cap=20,
            replace_oldest=False,
            token_seconds=TOKEN_SECONDS,
            events_max=1000,
            external=external,
        )
        self.ledgers = Ledgers(self.section, events_max=1000, external=external)
        self.upstream = UpstreamLedger(self.section, longest_ms=longest_ms, events_max=1000)
        self.adoptions = Adoptions(self.section, longest_ms=longest_ms, events_max=1000, external=external)

    async def take(self, address: str, lease_ms: int = LEASE_MS) -> tuple[UpstreamLease, Taken]:
        """Lease the address's lane, and wait until there is something due in it."""
        while True:
            lease = await self.upstream.take(self.lane(address), 32, lease_ms)
            if lease is not None:
                [taken] = [t for t in lease.taken if t.record.fingerprint == self.fingerprint(address)]
                return lease, taken

    async def due(self, address: str) -> bool:
        """Whether anything in the address's lane is due."""
        return await self.upstream.take(self.lane(address), 32, LEASE_MS) is not None

    async def held(self, address: str, lease: UpstreamLease, record: Record, sid: BindingSid | None = None) -> int:
        """The upstream has created what the record wants."""
        blob = encode_blob(record.attributes)
        report = Observation(record, Verdict.HELD, Report.IS, Seen(sid or new_sid(), record.type, blob))
        return await self.upstream.settle(self.lane(address), lease, [report])

    async def gone(self, address: str, lease: UpstreamLease, record: Record) -> int:
        """The upstream has nothing of it."""
        return await self.upstream.settle(self.lane(address), lease, [Observation(record, Verdict.GONE, Report.IS)])

    async def unknown(self, address: str, lease: UpstreamLease, record: Record) -> int:
        """A create was sent, and nothing heard of it."""
        blob = encode_blob(record.attributes)
        report = Observation(record, Verdict.LATER, Report.UNKNOWN, Seen(None, record.type, blob))
        return await self.upstream.settle(self.lane(address), lease, [report])

    async def apply(self, identity: str, address: str, device: str | None = None, *tags: str) -> BindingSid:
        """A registration that the upstream holds; answers its SID there."""
        await self.login(identity, address, device, tags=tags)
        lease, taken = await self.take(address)
        sid = new_sid()
        assert await self.held(address, lease, taken.record, sid) == 1
        return sid

    async def known(self, address: str) -> Record:
        """The record of an address that has one."""
        record = await self.record(address)
        assert record is not None
        return record

    async def pass_by(self, ms: int) -> None:
        """Ask the store's clock until it has passed so many milliseconds."""
        while True:
            seconds, micros = await self.time()
            if seconds * 1000 + micros // 1000 > ms:
                return

    async def depth(self) -> int:
        """Entries in the ledgers."""
        return (await self.ledgers.sweep()).depth
