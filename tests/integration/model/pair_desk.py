"""The Service of a pair, in the words that the histories of a store alone are told in."""

from __future__ import annotations

from hypothesis import strategies as st

from service.domain.sids import BindingSid
from service.store.registrations import Registrations
from service.usecases.service import Service
from tests.integration.model.contract import CHAT, NOTIFY
from tests.integration.model.test_machine import CAP
from tests.integration.store.desk import TOKEN_SECONDS, Desk
from tests.servers.fault_proxy import Fault, Kind

faults = st.sampled_from(
    [
        Fault(Kind.LOST_ANSWER),
        Fault(Kind.RESET_ANSWER),
        Fault(Kind.RESET_REQUEST),
        Fault(Kind.HALF_BODY),
        Fault(Kind.SILENCE),
        Fault(Kind.NEVER),
        Fault(Kind.REFUSAL, status=500),
        Fault(Kind.REFUSAL_AFTER, status=503),
        Fault(Kind.REFUSAL, status=429, retry_after="0.05"),
    ]
)


class PairDesk(Desk):
    """The Service of a runtime, in the words that histories are told in."""

    def __init__(self, service: Service) -> None:
        super().__init__(service.section.redis, sid=service.sid)
        self.section = service.section
        self.registrations = Registrations(
            service.section,
            name="main",
            cap=CAP,
            replace_oldest=False,
            token_seconds=TOKEN_SECONDS,
            events_max=1000,
            external=NOTIFY | CHAT,
        )
        self.ledgers, self.reading = service.ledgers, service.reading

    async def delete(self, sid: BindingSid, *, chat: bool = False) -> bool:
        """Nothing is settled at once: the workers do it."""
        removed, _, _ = await self.registrations.remove_binding(sid, CHAT if chat else NOTIFY)
        return removed
