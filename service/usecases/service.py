"""One Service with all that it takes to serve it, and the directory that callers find it in."""

from __future__ import annotations

from collections.abc import Iterable

from service.backends import ChatBackend, NotifyBackend
from service.domain.errors import NotFound
from service.domain.jobs import Lane
from service.domain.record import NO_CHANNEL, Channel, Record
from service.domain.services import ServiceConfig
from service.queue import JobQueue
from service.store.adoptions import Adoptions
from service.store.archives import Archives
from service.store.history import History
from service.store.ledger import Ledgers, lanes
from service.store.listings import Listings
from service.store.reading import Reading
from service.store.registrations import Registrations
from service.store.section import Section
from service.store.switches import Switches
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream
from service.usecases.upstream.cold_reading import ColdReads


class Service:
    """A configured Service, its section of the store and its backends."""

    def __init__(
        self,
        config: ServiceConfig,
        section: Section,
        *,
        registrations: Registrations,
        archives: Archives,
        switches: Switches,
        ledgers: Ledgers,
        adoptions: Adoptions,
        notify: NotifyBackend,
        chat: ChatBackend,
        queue: JobQueue,
        notify_upstream: NotifyUpstream | None = None,
        chat_upstream: ChatUpstream | None = None,
        listings: Listings | None = None,
    ) -> None:
        self.config = config
        self.sid = config.sid
        self.section = section
        self.fingerprints = section.fingerprints
        self.registrations = registrations
        self.archives = archives
        self.switches = switches
        self.reading = Reading(section)
        self.history = History(section)
        self.ledgers = ledgers
        self.adoptions = adoptions
        self.notify = notify
        self.chat = chat
        self._queue = queue
        self._notify_upstream = notify_upstream
        self._chat_upstream = chat_upstream
        self.listings = listings
        """What its upstreams have been, and are to be, asked for; None without one."""
        self._cold: ColdReads | None = None

    async def aclose(self) -> None:
        """End what it does by itself, and the connections to its upstreams."""
        if self._cold is not None:
            await self._cold.aclose()
        for upstream in self.configured:
            if upstream is not None:
                await upstream.account.aclose()

    @property
    def notify_upstream(self) -> NotifyUpstream | None:
        """Where Notify bindings live in place of ``notify``, until they are cut over."""
        return None if self.section.cut_over & Channel.NOTIFY else self._notify_upstream

    @property
    def chat_upstream(self) -> ChatUpstream | None:
        """Where Chat bindings live in place of ``chat``, likewise."""
        return None if self.section.cut_over & Channel.CHAT else self._chat_upstream

    @property
    def configured(self) -> tuple[NotifyUpstream | None, ChatUpstream | None]:
        """Its upstreams as configured, whether it is cut over or not."""
        return self._notify_upstream, self._chat_upstream

    @property
    def cold(self) -> ColdReads | None:
        """How Notify bindings are found that were never registered here; None if lookups are not to look for them."""
        return None if self.section.cut_over & Channel.NOTIFY else self._cold

    @cold.setter
    def cold(self, cold: ColdReads | None) -> None:
        self._cold = cold

    @property
    def at_once(self) -> Channel:
        """The channels whose backend is our own store: the compatible routes need not wait for a worker there."""
        notify = NO_CHANNEL if self.notify_upstream else Channel.NOTIFY
        return notify if self.chat_upstream else notify | Channel.CHAT

    def own_chat(self, record: Record | None) -> Record | None:
        """A Chat binding's record if it is the binding; at an upstream only that knows the SID, if there is one."""
        return None if record is None or self.chat_upstream else record

    def wake(self, wake: bytes, traceparent: str | None = None) -> None:
        """Pass on what a transaction asked to be woken."""
        if wake:
            self._queue.wake(lanes(self.sid, wake), traceparent)

    def wake_lane(self, lane: Lane, traceparent: str | None = None) -> None:
        """Ask for a drain of one lane, soon."""
        self._queue.wake([lane], traceparent)


class Directory:
    """Every Service of this deployment, by what a caller may call it."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.services = tuple(services)
        self._by_sid = {s.sid: s for s in self.services}
        self._by_chat_sid = {s.config.chat_sid: s for s in self.services}
        self._by_name = {s.config.name: s for s in self.services} | self._by_sid

    def default(self) -> Service:
        """The first or only Service: native routes mean it where they name none."""
        return self.services[0]

    def query_of(self, service: Service) -> str:
        """What URLs of native routes end with to mean this Service."""
        return "" if service is self.default() else f"?service={service.sid}"

    def named(self, name: str | None) -> Service:
        """The Service of this SID or configured name; without one the default.

        Raises:
            NotFound: there is none.
        """
        if name is None:
            return self.default()
        try:
            return self._by_name[name]
        except KeyError:
            raise NotFound("There is no such Service") from None

    def by_sid(self, sid: str) -> Service | None:
        """The Service of a Notify Service SID."""
        return self._by_sid.get(sid)

    def by_chat_sid(self, sid: str) -> Service | None:
        """The Service of a Chat Service SID."""
        return self._by_chat_sid.get(sid)
