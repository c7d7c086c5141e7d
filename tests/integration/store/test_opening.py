"""The store knows who wrote it, and refuses others."""

import asyncio
import contextlib
from typing import Any

import pytest

from service.domain.errors import BinderyError, StoreRefused, StoreUnavailable
from service.redis import connect
from service.store.section import SCHEMA, Section
from tests.integration.store.desk import KEY, Desk
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually


async def test_another_fingerprint_key_is_refused(desk: Desk) -> None:
    """A store begun under one secret key refuses to be opened with another."""
    await desk.login("alice", "token")
    with pytest.raises(StoreRefused, match="BINDERY_SECRET_KEY"):
        await Section(desk.redis, desk.sid, b"x" * 32).open()
    await Section(desk.redis, desk.sid, KEY).open()


async def test_another_key_cannot_be_used_without_opening(desk: Desk) -> None:
    """Nothing is read or written before the check."""
    await desk.login("alice", "token")
    with pytest.raises(StoreRefused):
        await Section(desk.redis, desk.sid, b"x" * 32).run("sweep")


async def test_a_newer_schema_is_refused(desk: Desk) -> None:
    """A store that a newer version wrote is refused by name."""
    await desk.login("alice", "token")
    await desk.redis.command("HSET", desk.section.anchor, "schema", SCHEMA + 1, key=desk.section.anchor)
    with pytest.raises(StoreRefused, match="newer"):
        await Section(desk.redis, desk.sid, KEY).open()


async def test_a_store_that_evicts_is_refused_until_it_does_not(desk: Desk) -> None:
    """By whoever opens it, naming policy and remedy, and nothing is written; one that is in use goes on."""
    await desk.login("alice", "token")
    fresh = Desk(desk.redis).section

    async def evict(policy: str) -> None:
        for anchor in (desk.section.anchor, fresh.anchor):
            await desk.redis.command("CONFIG", "SET", "maxmemory-policy", policy, key=anchor)

    await evict("allkeys-lfu")
    try:
        await desk.login("bob", "token")
        for section in (Section(desk.redis, desk.sid, KEY), fresh):
            with pytest.raises(StoreRefused, match=r"allkeys-lfu.*: CONFIG SET maxmemory-policy noeviction"):
                await section.open()
        assert not await fresh.look()
    finally:
        await evict("noeviction")
    await fresh.open()


async def test_a_store_emptied_under_us_is_made_again_and_versions_do_not_restart(desk: Desk) -> None:
    """After the loss of everything the next request works, and its version is above all before."""
    before = await desk.login("alice", "token")
    await desk.redis.command("DEL", desk.section.anchor, key=desk.section.anchor)
    after = await desk.login("bob", "token")
    assert after.record.version > before.record.version


async def test_it_is_made_again_once_for_all_who_find_it_empty(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy API would ask a store that has just come back for as much as it has requests under way."""
    await desk.login("alice", "token")
    looks, look = 0, desk.section.look

    async def counted() -> bool:
        nonlocal looks
        looks += 1
        return await look()

    monkeypatch.setattr(desk.section, "look", counted)
    await desk.redis.command("DEL", desk.section.anchor, key=desk.section.anchor)
    await asyncio.gather(*(desk.login(f"user-{n}", f"token-{n}") for n in range(50)))
    assert looks == 1
    assert await desk.desired("user-49") == {"token-49"}


async def test_an_opening_that_had_looked_before_does_not_count(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe finds the anchor, then the store is emptied: who joins the probe's opening is not refused for it."""
    await desk.login("alice", "token")
    look, looked, go_on = desk.section.look, asyncio.Event(), asyncio.Event()

    async def slow() -> bool:
        found = await look()
        looked.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(desk.section, "look", slow)
    probe = asyncio.create_task(desk.section.open())
    await looked.wait()
    await desk.redis.command("DEL", desk.section.anchor, key=desk.section.anchor)
    login = asyncio.create_task(desk.login("bob", "token-2"))

    async def joined() -> bool:
        return not desk.section.opened

    await eventually(joined)
    go_on.set()
    await asyncio.gather(probe, login)
    assert await desk.desired("bob") == {"token-2"}


async def test_a_record_of_another_layout_is_never_overwritten(desk: Desk) -> None:
    """A record whose layout is not known fails the request instead of being misread."""
    await desk.login("alice", "token")
    await desk.rewrite("token", lambda raw: b"\x09" + raw[1:])
    with pytest.raises(BinderyError):
        await desk.login("bob", "token")


async def test_a_failover_that_takes_the_store_back_brings_no_version_back(desk: Desk) -> None:
    """A version that was answered and lost is not given to another registration: its id would name that one."""
    await desk.login("alice", "token")
    kept = await desk.redis.command("HGET", desk.section.anchor, "version", key=desk.section.anchor)
    assert isinstance(kept, bytes)
    lost = await desk.login("bob", "token", "phone")
    await desk.redis.command("HSET", desk.section.anchor, "version", kept, key=desk.section.anchor)
    again = await desk.login("carol", "token", "tablet")
    assert again.record.version > lost.record.version


async def test_opening_counts_towards_a_calls_time() -> None:
    """A store takes most of a call's time for each reply, and to open a section takes several."""
    with ValkeyServer(tcp=True) as server:
        slow, passed, relays = asyncio.Event(), 0, list[asyncio.Task[Any]]()

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
            nonlocal passed
            with contextlib.suppress(OSError):
                while chunk := await reader.read(65536):
                    await asyncio.sleep(seconds if slow.is_set() else 0)
                    passed += slow.is_set() and seconds > 0
                    writer.write(chunk)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", server.port)
            relays.extend(asyncio.ensure_future(part) for part in (copy(reader, back, 0), copy(there, writer, 0.4)))

        listener = await asyncio.start_server(relay, "127.0.0.1", 0)
        redis = connect(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}", timeout=0.5)
        await redis.ping()
        slow.set()
        with pytest.raises(StoreUnavailable):
            await Section(redis, "IS" + "a" * 32, b"k" * 32).run("lookup", b"o" * 16)
        assert passed < 3
        await redis.aclose()
        listener.close()
        await asyncio.gather(*relays)
