"""Random histories of logins, logouts, takeovers, rotations, refusals and failing workers, against the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from service.domain.addresses import BindingType
from service.domain.errors import CapReached, SessionEnded
from service.domain.events import Reason
from service.domain.jobs import LANES, Lane, Ledger
from service.domain.record import Channel
from service.redis import connect
from service.store.ledger import ChatWork, Lease
from tests.integration.model.contract import CHAT, NOTIFY, Contract, Refused, Registration
from tests.integration.store.desk import Desk, chat_verdicts, verdict
from tests.servers.valkey import ValkeyServer

identities = st.sampled_from(["alice", "bob", "carol"])
addresses = st.sampled_from([f"token-{n}" for n in range(7)])
devices = st.sampled_from([None, "phone", "tablet", "watch"])
sessions = st.sampled_from([None, "s1", "s2", "s3"])
channels = st.sampled_from([NOTIFY, NOTIFY, CHAT, NOTIFY | CHAT])
kinds = st.sampled_from([BindingType.FCM, BindingType.FCM, BindingType.GCM, BindingType.APN, BindingType.SMS])
tags = st.sampled_from([(), ("a",), ("b",)])
endpoints = st.sampled_from([None, None, "shared"])
CAP = 3


class Machine(RuleBasedStateMachine):
    """Every step is answered as the contract says, and shows what it says; at the end everything is applied."""

    url: ClassVar[str]
    cap: ClassVar[int] = CAP
    replace_oldest: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis = self.do(self._connect())
        # The same keys in every history, so that a failing one fails again.
        self.do(self.redis.command("FLUSHALL"))
        self.desk = Desk(self.redis, cap=self.cap, replace_oldest=self.replace_oldest, sid="IS" + "0" * 32)
        self.contract = Contract(cap=self.cap)
        self.now = self.do(self.desk.now())
        self.leases: list[tuple[Lane, Lease]] = []
        self.chat_leases: list[tuple[Lane, bytes, ChatWork]] = []

    async def _connect(self) -> Any:
        return connect(self.url, timeout=10)

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    # Requests ---------------------------------------------------------------------------------------------------------

    @rule(
        identity=identities, address=addresses, device=devices, session=sessions, wanted=channels, kind=kinds,
        tag=tags, endpoint=endpoints, caller=st.sampled_from(["server", "old token", "new token"]),
    )  # fmt: skip
    def login(
        self, identity: str, address: str, device: str | None, session: str | None, wanted: Channel,
        kind: BindingType, tag: tuple[str, ...], endpoint: str | None, caller: str,
    ) -> None:  # fmt: skip
        """An app or a server registers; the contract says whether it may."""
        if not kind.push:
            wanted, device = NOTIFY, None
        endpoint = (endpoint or f"{identity}:{device or address}") if wanted & CHAT else None
        iat = {"server": None, "old token": self.now - 100, "new token": self.now + 3600}[caller]
        registration = Registration(identity, kind, device, wanted, endpoint, session, tag)
        expected = self._expect(
            address, registration, old_token=caller == "old token", server=caller == "server"
        )  # fmt: skip
        assert expected == self.do(
            self._outcome(
                self.desk.login(
                    identity, address, device, channels=wanted, endpoint=endpoint, kind=kind, tags=tag,
                    session=session, iat=iat,
                )
            )
        )  # fmt: skip

    @rule(identity=identities, address=addresses, kind=kinds, tag=tags)
    def create(self, identity: str, address: str, kind: BindingType, tag: tuple[str, ...]) -> None:
        """A back end creates a Notify binding on a compatible route."""
        registration = Registration(identity, kind, None, NOTIFY, None, None, tag)
        expected = self._expect(address, registration, keep=True)
        login = self.desk.login(identity, address, kind=kind, tags=tag, keep=True, settle=True)
        assert expected == self.do(self._outcome(login))
        if expected == "accepted":
            assert address in self.do(self.desk.applied(identity))

    def _expect(self, address: str, registration: Registration, **how: Any) -> str:
        try:
            self.contract.register(address, registration, **self._policy(), **how)
        except Refused as refused:
            return str(refused)
        return "accepted"

    def _policy(self) -> dict[str, Any]:
        """What the contract needs to know of who gives way at the cap."""
        return {}

    async def _outcome(self, login: Any) -> str:
        try:
            await login
        except SessionEnded:
            return "fenced"
        except CapReached:
            return "cap"
        return "accepted"

    @rule(identity=identities, device=devices, session=sessions, address=st.none() | addresses)
    def logout(self, identity: str, device: str | None, session: str | None, address: str | None) -> None:
        """A device, a session, an address or the identity is logged out."""
        named: dict[str, Any] = {"device": device} if device else {"session": session} if session else {}
        if not named and address:
            named = {"address": address}
        expected = self.contract.log_out(identity, **named)
        assert self.do(self.desk.logout(identity, **named)) == expected

    @rule(address=addresses)
    def push_off(self, address: str) -> None:
        """An app turns push off for one address."""
        registration = self.contract.registrations.get(address)
        if registration:
            self.contract.delete(address, NOTIFY | CHAT)
            owner = self.desk.owner(registration.identity)
            fingerprint = self.desk.fingerprint(address)
            remove = self.desk.registrations.remove(fingerprint, NOTIFY | CHAT, Reason.PUSH_OFF, owner=owner)
            assert self.do(remove)[0]

    @rule(address=addresses, chat=st.booleans())
    def delete(self, address: str, chat: bool) -> None:
        """A back end deletes a visible binding by its SID."""
        record = self.do(self.desk.record(address))
        if chat and record:
            record = self.do(self.desk.reading.chat_binding(record.link))
        visible = record.visible(CHAT if chat else NOTIFY) if record else None
        if visible:
            self.contract.delete(address, CHAT if chat else NOTIFY)
            assert self.do(self.desk.delete(visible.sid, chat=chat))

    # Workers ----------------------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, LANES - 1), limit=st.integers(1, 3), lease_ms=st.sampled_from([1, 30]))
    def take(self, number: int, limit: int, lease_ms: int) -> None:
        """A worker takes entries of both ledgers; it may be slow, or never heard of again."""
        lane = Lane(self.desk.sid, Ledger.NOTIFY, number)
        lease = self.do(self.desk.ledgers.take(lane, limit, lease_ms))
        if lease:
            self.leases.append((lane, lease))
        lane = Lane(self.desk.sid, Ledger.CHAT, number)
        taken = self.do(self.desk.ledgers.take_chat(lane, limit, lease_ms))
        if taken:
            self.chat_leases += [(lane, taken[0], work) for work in taken[1]]

    @rule(pick=st.integers(0, 1000), external=st.booleans())
    def settle(self, pick: int, external: bool) -> None:
        """A worker settles something it took, now or long ago, perhaps again."""
        if self.leases:
            lane, lease = self.leases[pick % len(self.leases)]
            verdicts = [verdict(r) for r in lease.records]
            self.do(self.desk.ledgers.settle(lane, lease.token, verdicts))
        if self.chat_leases:
            lane, token, work = self.chat_leases[pick % len(self.chat_leases)]
            self.do(self.desk.ledgers.settle_chat(lane, token, work.owner, chat_verdicts(work), external=external))

    # What must hold ---------------------------------------------------------------------------------------------------

    @invariant()
    def shows_what_is_desired(self) -> None:
        """Lookups show the desired state at once; the Notify and Chat routes nothing beyond it."""
        everybody = ("alice", "bob", "carol")
        shown, found = self.do(self._shown(everybody))
        for identity, (desired, applied, chats) in zip(everybody, shown, strict=True):
            assert desired == self.contract.desired(identity)
            assert applied <= self.contract.notify(identity)
            assert chats <= self.contract.endpoints(identity)
            assert len(self.contract.notify(identity)) <= self.cap
        assert found == {address: r.identity for address, r in self.contract.registrations.items()}

    async def _shown(
        self, everybody: Iterable[str]
    ) -> tuple[list[tuple[set[str], set[str], set[str]]], dict[str, str]]:
        desk = self.desk
        asked = (asyncio.gather(desk.desired(who), desk.applied(who), desk.chats(who)) for who in everybody)
        return await asyncio.gather(asyncio.gather(*asked), desk.addresses())

    def teardown(self) -> None:
        """Whatever jobs were lost and workers died: what is desired is applied, and nothing else is left."""
        try:
            self.do(self._converge())
            for identity in ("alice", "bob", "carol"):
                assert self.do(self.desk.applied(identity)) == self.contract.notify(identity)
                assert self.do(self.desk.chats(identity)) == self.contract.endpoints(identity)
            assert len(self.do(self._all_records())) == len(self.contract.registrations)
        finally:
            self.do(self._stop())
            self.do(self.redis.aclose())
            self.runner.close()

    async def _stop(self) -> None:
        """What a history has started besides."""

    async def _converge(self) -> None:
        while (await self.desk.ledgers.sweep()).depth:
            await self.desk.drain()

    async def _all_records(self) -> list[Any]:
        records, _ = await self.desk.reading.scan(
            chat=False, position=b"", backwards=False, records=10_000, buckets=70_000
        )
        return records


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """The server that the histories share, each in a Service of its own."""
    with ValkeyServer() as server:
        yield server


def run(url: str, examples: int, steps: int, machine: type[Machine] = Machine) -> None:
    """Run histories of at most `steps` steps."""
    Machine.url = url
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_histories_keep_the_contract(server: ValkeyServer) -> None:
    """Short histories, the same on each run."""
    run(server.url, examples=60, steps=40)


@pytest.mark.proof
def test_many_random_histories_keep_the_contract(server: ValkeyServer) -> None:
    """Many long histories."""
    run(server.url, examples=1500, steps=80)
