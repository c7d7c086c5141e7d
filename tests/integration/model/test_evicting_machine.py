"""The same random histories where at the cap the oldest give way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from service.domain.events import Reason
from tests.integration.model.contract import Age
from tests.integration.model.test_machine import Machine, addresses, run
from tests.servers.valkey import ValkeyServer


class EvictingMachine(Machine):
    """Nobody is refused for the cap: the least recently seen gives way, of several the one of the least version."""

    cap, replace_oldest = 2, True
    evicted: ClassVar[int]

    @rule(address=addresses, seconds=st.sampled_from([1, 4000]))
    def age(self, address: str, seconds: int) -> None:
        """An app has not been here for a while."""
        if address in self.contract.registrations:
            self.do(self.desk.age(address, seconds))

    def _policy(self) -> dict[str, Any]:
        return {"age": self._age}

    def _age(self, address: str) -> Age:
        record = self.do(self.desk.record(address))
        return record.seen, record.version

    def teardown(self) -> None:
        """Besides, see that some gave way at all."""
        try:
            events = self.do(self.desk.events())
            EvictingMachine.evicted += sum(event.reason is Reason.EVICTED for event in events)
        finally:
            super().teardown()


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """The server that the histories share."""
    with ValkeyServer() as server:
        yield server


def test_random_histories_where_the_oldest_give_way_keep_the_contract(server: ValkeyServer) -> None:
    """Short histories, the same on each run."""
    EvictingMachine.evicted = 0
    run(server.url, 12, 40, EvictingMachine)
    assert EvictingMachine.evicted > 20


@pytest.mark.proof
def test_many_random_histories_where_the_oldest_give_way_keep_the_contract(server: ValkeyServer) -> None:
    """Many long histories."""
    EvictingMachine.evicted = 0
    run(server.url, 1000, 80, EvictingMachine)
    assert EvictingMachine.evicted > 1000
