"""Lines of an archive where the bindings are kept at an upstream: what it may hold of an address stays known."""

from __future__ import annotations

import msgspec
import pytest

from service.domain.archive import RegistrationLine
from service.domain.upstream import Agreed, decide
from service.redis import Redis
from service.store.archives import Archives, Restored
from service.store.switched import SwitchedSection
from service.store.switches import Switches
from tests.integration.store import desk as desks
from tests.integration.store.desk import NOTIFY, Desk
from tests.integration.store.test_restoring import archives, line
from tests.integration.store.upstream_desk import UpstreamDesk


async def restored(desk: UpstreamDesk, *lines: RegistrationLine) -> list[Restored]:
    """What became of each."""
    archives = Archives(desk.section, cap=20, events_max=1000, external=NOTIFY)
    return (await archives.restore(lines, same_key=False))[0]


async def of_now(desk: Desk, number: int, *, chat: bool = False) -> RegistrationLine:
    """A line that is newer than everything that is here."""
    seconds, micros = await desk.time()
    version = 1_000_000 * seconds + micros + 10_000_000
    made = msgspec.structs.replace(line(number, chat=chat), version=version, generation=version, seen=seconds)
    part = made.chat and msgspec.structs.replace(made.chat, version=version, generation=version)
    return msgspec.structs.replace(made, chat=part)


async def test_a_line_of_chat_alone_ends_what_the_upstream_holds(redis: Redis) -> None:
    """The former owner's binding there is still known, and to be deleted."""
    desk = UpstreamDesk(redis)
    sid = await desk.apply("alice", "token-1", "phone")
    chat_only = msgspec.structs.replace(await of_now(desk, 1, chat=True), notify=False)
    assert await restored(desk, chat_only) == [Restored.REPLACED]
    _, taken = await desk.take("token-1")
    assert decide(taken.record, None) == Agreed(None, (sid,))


async def test_a_line_of_chat_alone_ends_no_doubt(redis: Redis) -> None:
    """A create whose answer was lost may have been made: it is looked for."""
    desk = UpstreamDesk(redis)
    await desk.login("alice", "token-1", "phone")
    lease, taken = await desk.take("token-1")
    await desk.unknown("token-1", lease, taken.record)
    before = (await desk.known("token-1")).doubt
    chat_only = msgspec.structs.replace(await of_now(desk, 1, chat=True), notify=False)
    assert await restored(desk, chat_only) == [Restored.REPLACED]
    record = await desk.known("token-1")
    assert record.doubt >= before > 0
    assert "alice" in {trace.attributes.identity for trace in record.traces}


async def test_a_line_that_comes_after_an_undoing_is_in_doubt_as_a_registration_is(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of before the switch may yet come, and take the address away from whoever has it."""
    monkeypatch.setattr(desks, "Section", SwitchedSection)
    desk = UpstreamDesk(redis)
    switches = Switches(desk.section, external=NOTIFY, events_max=1000)
    await desk.login("zoe", "other")
    await switches.over(NOTIFY, agreed=True, late=60)
    await switches.back(NOTIFY)
    await switches.done(NOTIFY)
    await desk.login("alice", "token")
    assert await restored(desk, await of_now(desk, 1)) == [Restored.NEW]
    assert (await desk.known("token-1")).doubt == (await desk.known("token")).doubt


async def test_versions_go_on_after_those_of_chat_bindings(desk: Desk) -> None:
    """One of a Chat binding may be newer than its registration's; none is of a time to come."""
    made = await of_now(desk, 1, chat=True)
    assert made.chat
    later = msgspec.structs.replace(made, chat=msgspec.structs.replace(made.chat, version=made.version + 5_000_000))
    never = msgspec.structs.replace(
        made, chat=msgspec.structs.replace(made.chat, version=made.version + 2 * 86_400_000_000)
    )
    assert (await archives(desk).restore([never, later], same_key=False))[0] == [Restored.FUTURE, Restored.NEW]
    after = await desk.login("bob", "other")
    assert later.chat
    assert after.record.version > later.chat.version
