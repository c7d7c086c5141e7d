"""Random steps of a Service whose bindings a second Bindery holds, Notify and Chat, with faults between the two."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from service.backends.twilio import NotifyBinding, UpstreamError
from service.bootstrap import runtime
from service.domain.addresses import BindingType
from service.domain.jobs import LANES, Lane, Ledger
from service.settings import load
from service.store.adoptions import Source
from service.usecases.moving.switching import cut_over, undo
from service.usecases.upstream.adopting import notify_found
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream
from tests.e2e.compatible.deployment import create_chat
from tests.integration.model.contract import CHAT, NOTIFY, Contract, Registration, group
from tests.integration.model.pair_desk import PairDesk, faults
from tests.integration.model.test_machine import (
    CAP,
    Machine,
    addresses,
    channels,
    devices,
    endpoints,
    identities,
    kinds,
    sessions,
    tags,
)
from tests.integration.upstream.pair import Pair, environment
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer
from workers.batches import Tally
from workers.upstream_chat import chat_batch
from workers.upstream_lane import batch

LEASE_MS = 400
BACKING_OFF = ("service.usecases.upstream.applying", "workers.upstream_chat")

numbers = st.integers(0, LANES - 1)
push_kinds = kinds.filter(lambda kind: kind.push)


class PairMachine(Machine):
    """In the end the upstream holds just what is desired, once each, under the SIDs that are shown here."""

    there: ClassVar[str]
    environ_there: ClassVar[dict[str, str]]
    store_there: ClassVar[ValkeyServer]

    take = None  # type: ignore[assignment]  # workers are real here
    settle = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.listed: tuple[int, list[NotifyBinding]] | None = None
        self.store_there.call("FLUSHALL")
        self.patches = [mock.patch(f"{module}.backoff_ms", return_value=10) for module in BACKING_OFF]
        for patch in self.patches:
            patch.start()
        self.do(self._start())
        self.contract = Contract(cap=CAP)
        self.connected: dict[tuple[str, str | None], tuple[str, str]] = {}
        """Chat bindings that must stay at the upstream: identity and type, by endpoint and Apple's or Google's."""

    async def _start(self) -> None:
        self.proxy = FaultProxy(self.there)
        await self.proxy.up()
        environ = environment(self.url, self.proxy.url, BINDERY_CHAT_UPSTREAM_URL=self.proxy.url)
        self.sdk_context = runtime(load(self.environ_there))
        self.sdk_service = (await self.sdk_context.__aenter__()).directory.default()
        self.context = runtime(load(environ))
        self.pair = Pair(await self.context.__aenter__(), self.proxy, self.there)
        self.desk = PairDesk(self.pair.service)

    @rule(
        identity=identities, address=addresses, device=devices, session=sessions, wanted=channels, kind=push_kinds,
        tag=tags, endpoint=endpoints, caller=st.sampled_from(["server", "old token", "new token"]),
    )  # fmt: skip
    def login(self, **asked: Any) -> None:
        """As before, but for phone numbers: these are none, and the upstream would refuse them."""
        Machine.login(self, **asked)

    @rule(identity=identities, address=addresses, kind=push_kinds, tag=tags)
    def create(self, identity: str, address: str, kind: BindingType, tag: tuple[str, ...]) -> None:
        """A back end creates a binding on a compatible route, and does not wait for it."""
        expected = self._expect(address, Registration(identity, kind, None, NOTIFY, None, None, tag), keep=True)
        login = self.desk.login(identity, address, kind=kind, tags=tag, keep=True)
        assert expected == self.do(self._outcome(login))

    @rule(number=numbers, ledger=st.sampled_from(Ledger))
    def drain(self, number: int, ledger: Ledger) -> None:
        """A worker drains a lane."""
        self.do(self.pair.drain(Lane(self.desk.sid, ledger, number)))

    @rule(pick=st.integers(0, 20), kind=kinds.filter(lambda kind: kind is not BindingType.SMS))
    def connect(self, pick: int, kind: BindingType) -> None:
        """The SDK of an app that has logged in creates its Chat binding at the upstream, or makes it anew."""
        live = [r for _, r in sorted(self.contract.registrations.items()) if r.channels & CHAT]
        if live:
            registration = live[pick % len(live)]
            assert registration.endpoint is not None
            kind = kind if group(kind) == group(registration.kind) else registration.kind
            self._connect_there(registration.identity, registration.endpoint, kind)

    @rule(identity=identities)
    def connect_elsewhere(self, identity: str) -> None:
        """And that of an app which Bindery has never heard of."""
        self._connect_there(identity, f"{identity}:elsewhere", BindingType.FCM)

    def _connect_there(self, identity: str, endpoint: str, kind: BindingType) -> None:
        self.do(create_chat(self.sdk_service, identity, endpoint, kind))
        self.connected[endpoint, group(kind)] = identity, kind.value

    @invariant()
    def knows_what_must_stay(self) -> None:
        """Of devices that have logged out, or registered otherwise, Chat bindings need not stay."""
        live = {(r.endpoint, group(r.kind)): r for r in self.contract.registrations.values() if r.channels & CHAT}
        for key, (identity, kind) in list(self.connected.items()):
            registration = live.get(key)
            kept = registration and (registration.identity, registration.kind.value) == (identity, kind)
            if self._foreign(key[0]):
                # A logout of all that an identity has means these as well.
                kept = identity not in self.contract.dead_identities
            if not kept:
                del self.connected[key]

    def _foreign(self, endpoint: str | None) -> bool:
        return bool(endpoint and endpoint.endswith(":elsewhere"))

    @rule(method=st.sampled_from(["POST", "DELETE", "GET"]), fault=faults)
    def fail(self, method: str, fault: Fault) -> None:
        """The next such request meets a fault."""
        self.proxy.script(method, fault)

    @rule(number=numbers, ledger=st.sampled_from(Ledger), seconds=st.sampled_from([0.0, 0.005, 0.02]))
    def die(self, number: int, ledger: Ledger, seconds: float) -> None:
        """A worker is killed in the middle of a batch."""
        self.do(self._die(Lane(self.desk.sid, ledger, number), seconds))

    async def _die(self, lane: Lane, seconds: float) -> None:
        async def dead(_: object) -> None:
            """Hands nothing back."""

        service, notify, chat = self.pair.service, self.pair.upstream, self.pair.service.chat_upstream
        assert chat is not None
        with (
            mock.patch("workers.upstream_lane.hand_back", dead),
            mock.patch("workers.upstream_chat.hand_back", dead),
            mock.patch.object(NotifyUpstream, "lease_ms", LEASE_MS),
            mock.patch.object(ChatUpstream, "lease_ms", LEASE_MS),
        ):
            if lane.ledger is Ledger.NOTIFY:
                work = asyncio.create_task(batch(service, notify, lane, 32, Tally()))
            else:
                work = asyncio.create_task(chat_batch(service, chat, lane, 32, Tally()))
            await asyncio.wait({work}, timeout=seconds)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    @rule(address=addresses, first=identities, then=identities, late=st.sampled_from(["POST", "DELETE"]))
    def land_late(self, address: str, first: str, then: str, late: str) -> None:
        """A request is delivered after others, for the same address, have been decided."""
        self.pair.patient()
        self.create(first, address, BindingType.FCM, ("late",))
        self.proxy.script(late, Fault(Kind.LATE))
        lane = self.pair.lane(address)
        self.do(self.pair.drain(lane))
        if then == first:
            self.logout(first, None, None, address)
        else:
            self.create(then, address, BindingType.FCM, ())
        self.do(self.pair.drain(lane))
        self.do(self.proxy.release())
        # What was scripted for a request that did not come is not to be late later.
        self.proxy.calm()
        self.do(self.pair.time_passes())

    @rule(identity=identities)
    def list_there(self, identity: str) -> None:
        """Somebody asks what the upstream has of an identity."""
        self.do(self._list(identity))

    async def _list(self, identity: str) -> None:
        began = await self.pair.service.adoptions.begin()
        with contextlib.suppress(UpstreamError):
            self.listed = began, await self.pair.upstream.bindings.of([identity])

    @rule(source=st.sampled_from([Source.COLD, Source.AUDIT]))
    def adopt(self, source: Source) -> None:
        """What was listed last is adopted, whatever has happened since: nobody gets back what he has lost."""
        if self.listed is None:
            return
        began, bindings = self.listed
        found = [found for binding in bindings if (found := notify_found(binding))]
        self.do(self.pair.service.adoptions.adopt(source, found, began=began))

    @rule(address=addresses, first=identities, then=identities)
    def adopt_old_news(self, address: str, first: str, then: str) -> None:
        """What was listed is adopted after another has taken its address and left again, all applied."""
        lane = self.pair.lane(address)
        self.create(first, address, BindingType.FCM, ("listed",))
        self.do(self.pair.drain(lane))
        self.list_there(first)
        self.create(then, address, BindingType.FCM, ())
        self.do(self.pair.drain(lane))
        self.logout(then, None, None, address)
        self.do(self.pair.drain(lane))
        self.adopt(Source.COLD)

    @rule(address=addresses, first=identities, then=identities, late=st.booleans(), leaves=st.sampled_from([0, 1, 2]))
    def cut_over_and_back(self, address: str, first: str, then: str, late: bool, leaves: int) -> None:
        """Bindings are kept here for a while, perhaps beneath a call that lands when they no longer are."""
        self.proxy.calm()
        self.create(first, address, BindingType.FCM, ("before",))
        if late:
            self.pair.patient()
            self.proxy.script("POST", Fault(Kind.LATE))
        self.do(self._cut_over(address))
        self.create(then, address, BindingType.FCM, ())
        if leaves == 1:
            self.logout(then, None, None, address)
        self.do(self.pair.drain(self.pair.lane(address)))
        self.do(undo(self.pair.service, NOTIFY))
        if leaves == 2:
            self.logout(then, None, None, address)
        self.do(self.pair.drain(self.pair.lane(address)))
        self.do(self.proxy.release())
        self.proxy.calm()
        self.do(self.pair.time_passes())

    async def _cut_over(self, address: str) -> None:
        work = asyncio.create_task(self.pair.drain(self.pair.lane(address)))
        met = asyncio.create_task(self.proxy.met(Kind.LATE))
        await asyncio.wait({work, met}, return_when=asyncio.FIRST_COMPLETED)
        met.cancel()
        await cut_over(self.pair.service, NOTIFY, agreed=True)
        await work

    async def _converge(self) -> None:
        self.proxy.calm()
        await self.proxy.release()
        await self.pair.time_passes()
        await self.pair.converge(30)
        found = {b["address"]: (b["identity"], b["binding_type"], tuple(b["tags"])) for b in await self.pair.bindings()}
        wanted = {
            address: (r.identity, r.kind.value, r.tags)
            for address, r in self.contract.registrations.items()
            if r.channels & NOTIFY
        }
        assert found == wanted
        for binding in await self.pair.bindings():
            assert str((await self.pair.record(binding["address"])).visible_sid(NOTIFY)) == binding["sid"]
        assert await self.pair.service.ledgers.dead_letters() == []
        await self._check_chat()

    async def _check_chat(self) -> None:
        """What a login has brought is there; nothing of others, of ended sessions, or twice."""
        listed = await self.pair.chats()
        found = {(b["identity"], b["endpoint"], b["binding_type"]) for b in listed}
        assert len(found) == len(listed)
        must = {(identity, endpoint, kind) for (endpoint, _), (identity, kind) in self.connected.items()}
        assert must - found == set()
        live = {(r.identity, r.endpoint) for r in self.contract.registrations.values() if r.channels & CHAT}
        others = {(identity, endpoint) for identity, endpoint, _ in found - must if not self._foreign(endpoint)}
        assert others - live == set()

    def teardown(self) -> None:
        """And nothing else is left, here or there."""
        try:
            super().teardown()
        finally:
            for patch in self.patches:
                patch.stop()

    async def _stop(self) -> None:
        await self.context.__aexit__(None, None, None)
        await self.sdk_context.__aexit__(None, None, None)
        await self.proxy.__aexit__(None, None, None)

    def do(self, work: Any) -> Any:
        """A step that hangs is a fault."""

        async def bounded() -> Any:
            async with asyncio.timeout(60):
                return await work

        return self.runner.run(bounded())
