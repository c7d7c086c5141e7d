"""An archive holds all that a Service's registrations are, and gives it back."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.domain.addresses import BindingType
from service.domain.archive import Line, encode_line
from service.domain.errors import StoreUnavailable
from service.domain.record import Channel
from service.store.archives import Restored
from service.usecases import chat_bindings, notify_bindings
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.moving.exporting import export
from service.usecases.moving.restoring import Progress, restore
from service.usecases.registering import Request, register
from service.usecases.service import Service
from tests.integration.workers.bench import Bench, environment
from tests.servers.valkey import ValkeyServer

BOTH = Channel.NOTIFY | Channel.CHAT
PHONE = "+15005550006"


async def archive(bench: Bench) -> bytes:
    """All lines."""
    return b"".join([encode_line(line) + b"\n" async for lines in export(bench.service) for line in lines])


async def restored(bench: Bench, lines: bytes, **more: Any) -> Counter[Restored]:
    """Reads them back."""
    return await restore(bench.service, io.BytesIO(lines), **more)


async def bind(bench: Bench, identity: str, address: str, device: str | None = None, **more: Any) -> None:
    """Registers with everything there is."""
    more.setdefault("kind", BindingType.FCM)
    await register(bench.service, Request(identity=identity, address=address, device_id=device, **more))


async def shown(bench: Bench, *identities: str) -> list[set[str]]:
    """The addresses that a lookup shows of each."""
    return [{view.address for view in views} for _, views in await look_up(bench.service, identities)]


async def fill(bench: Bench) -> None:
    """One of each kind."""
    await bind(bench, "alice", "ab" * 32, "phone", kind=BindingType.APN, session="s1", tags=("x", "y"))
    await bind(bench, "alice", "token-1", "tablet", channels=BOTH, message_types=("new-message",))
    await bind(bench, "alice", PHONE, kind=BindingType.SMS)
    await bind(bench, "bob", "token-2", "old phone", channels=Channel.CHAT, credential_sid="CR" + "5" * 32)
    await bind(bench, "bob", "token-3", protocol_version="4")
    await bind(bench, "carol", "token-4", "gone")
    await bench.drain_all()
    await log_out(bench.service, "carol", device_id="gone")
    await bench.drain_all()
    await bind(bench, "dave", "token-5", "not yet", channels=BOTH, tags=("é", "\u2028"))


async def test_read_back_into_an_empty_store_it_is_the_same(here: Bench, there: Bench) -> None:
    """Byte for byte: SIDs, versions, ids, times, devices, sessions, Chat; what was removed is not in it."""
    await fill(here)
    lines = await archive(here)
    assert lines.count(b"\n") == 7
    assert await restored(there, lines) == {Restored.NEW: 6}
    assert await archive(there) == lines
    assert await restored(there, lines) == {Restored.SAME: 6}
    assert await archive(there) == lines
    assert b"carol" not in lines


async def test_what_was_read_back_works_as_before(here: Bench, there: Bench) -> None:
    """What was owed is applied; rotations, takeovers and logouts find what they mean."""
    await fill(here)
    await restored(there, await archive(here))
    await there.drain_all()
    assert await there.applied(["token-1", "token-3", "token-5", "ab" * 32])
    await bind(there, "alice", "token-9", "tablet", channels=BOTH)
    await bind(there, "eve", "token-3")
    await log_out(there.service, "alice", session="s1")
    await there.drain_all()
    assert await shown(there, "alice", "eve", "bob") == [{"token-9", PHONE}, {"token-3"}, {"token-2"}]


async def test_versions_go_on_after_those_that_were_read(here: Bench, there: Bench) -> None:
    """Ids of registrations never come twice."""
    await fill(here)
    await restored(there, await archive(here))
    before = (await there.record("token-3")).version
    await bind(there, "bob", "token-3", tags=("new",))
    assert (await there.record("token-3")).version > before


async def test_what_is_newer_here_stays(here: Bench, there: Bench) -> None:
    """The address's own, another address of its device, and what a logout has ended since."""
    await fill(here)
    lines = await archive(here)
    await bind(there, "mallory", "token-3")
    await bind(there, "alice", "token-9", "tablet")
    await log_out(there.service, "bob", device_id="old phone")
    await log_out(there.service, "dave")
    counts = await restored(there, lines)
    assert counts == {Restored.NEW: 2, Restored.NEWER: 2, Restored.FENCED: 2}
    assert (await there.record("token-3")).attributes.identity == "mallory"
    assert await shown(there, "alice", "bob", "dave") == [{"token-9", PHONE, "ab" * 32}, set(), set()]


async def test_what_is_older_here_is_replaced(here: Bench, there: Bench) -> None:
    """The former owner loses it, and the device its earlier address; an event tells that it came from an archive."""
    await bind(there, "mallory", "token-1", "theirs", channels=BOTH)
    await bind(there, "mallory", "cd" * 32, "phone", kind=BindingType.APN)
    await there.drain_all()
    await fill(here)
    counts = await restored(there, await archive(here))
    assert counts == {Restored.NEW: 5, Restored.REPLACED: 1}
    await there.drain_all()
    assert await shown(there, "mallory") == [set()]
    assert await there.service.reading.registration(there.service.fingerprints.address("cd" * 32)) is None


async def test_the_cap_holds(here: Bench, there: Bench) -> None:
    """Contract 5: what would be the 21st is not taken, and counted."""
    for n in range(20):
        await bind(here, "alice", f"token-{n}")
    for n in range(3):
        await bind(there, "alice", f"other-{n}")
    assert await restored(there, await archive(here)) == {Restored.NEW: 17, Restored.FULL: 3}


async def test_under_another_key_sids_lead_where_they_led(here: Bench, other_key: Bench) -> None:
    """The way to change `BINDERY_SECRET_KEY`. A new version ends them; the sessions are forgotten."""
    await fill(here)
    await here.drain_all()
    lines = await archive(here)
    assert await restored(other_key, lines) == {Restored.NEW: 6}
    first = (await here.record("token-1")).sid
    [chat] = await chat_sids(here, "bob")
    fetched = await notify_bindings.fetch(other_key.service, str(first))
    assert fetched is not None
    assert fetched.address == "token-1"
    assert await chat_bindings.fetch(other_key.service, chat) is not None
    again = await archive(other_key)
    assert sids(again) == sids(lines)
    assert b"session" not in again
    await bind(other_key, "alice", "token-1", "tablet", tags=("new",))
    await bind(other_key, "bob", "token-2", "old phone", channels=Channel.CHAT)
    await other_key.drain_all()
    assert await notify_bindings.fetch(other_key.service, str(first)) is None
    assert await chat_bindings.fetch(other_key.service, chat) is None


def sids(lines: bytes) -> list[str]:
    """Of all its bindings."""
    found = [msgspec.json.decode(line) for line in lines.splitlines()[1:]]
    chats = [line["chat"] for line in found if "chat" in line]
    return sorted(binding["sid"] for binding in [*chats, *(line for line in found if line.get("notify", True))])


async def chat_sids(bench: Bench, identity: str) -> list[str]:
    """What Chat shows of an identity."""
    [found] = await bench.service.reading.chat_bindings_of([bench.service.fingerprints.owner(identity)])
    return [str(record.visible_sid(Channel.CHAT)) for record in found or ()]


class Killed(Exception):
    """The process ends here."""


async def test_it_goes_on_where_it_ended(here: Bench, there: Bench) -> None:
    """From the place after the last lines that were written; a dry run has a place of its own, and writes nothing."""
    await here.login_many(350)
    lines = await archive(here)
    heard: list[int] = []

    def dies(progress: Progress) -> None:
        heard.append(progress.lines)
        if progress.lines == 200:
            raise Killed

    for dry_run in (True, False):
        heard.clear()
        with pytest.raises(Killed):
            await restored(there, lines, dry_run=dry_run, told=dies)
        counts = await restored(there, lines, dry_run=dry_run, told=dies)
        assert heard == [100, 200, 300, 350]
        assert counts == {Restored.NEW: 350}
        assert (await archive(there) == lines) is not dry_run


async def test_another_archive_that_begins_alike_is_begun_anew(here: Bench, there: Bench) -> None:
    """And is as long: a later one, of which only the last lines are new."""
    await here.login_many(350)
    first = await archive(here)
    later = first[:-1] + first[-1:].replace(b"\n", b" ")

    def dies(_: Progress) -> None:
        raise Killed

    with pytest.raises(Killed):
        await restored(there, first, told=dies)
    assert sum((await restored(there, later)).values()) == 350


async def test_an_export_that_fails_leaves_nothing(
    here: Bench, old: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The half of it has addresses, too."""
    await bind(here, "alice", "token-1")

    async def breaks_off(service: Service) -> AsyncIterator[list[Line]]:
        async for lines in export(service):
            yield lines
            raise StoreUnavailable

    monkeypatch.setattr("service.cli.export.export", breaks_off)
    environ = {**environment(old.url), "BINDERY_DATA_DIR": str(tmp_path / "data")}
    done = await asyncio.to_thread(CliRunner().invoke, main, ["export", str(tmp_path / "all")], env=environ)
    assert done.exit_code == 1, done.output
    assert names_in(tmp_path) == []


async def test_an_export_into_a_pipe_goes_through_it(here: Bench, old: ValkeyServer, tmp_path: Path) -> None:
    """To be encrypted, say, without a file of it ever being there."""
    await bind(here, "alice", "token-1")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    environ = {**environment(old.url), "BINDERY_DATA_DIR": str(tmp_path / "data")}
    done, read = await asyncio.gather(
        asyncio.to_thread(CliRunner().invoke, main, ["export", str(pipe)], env=environ),
        asyncio.to_thread(pipe.read_bytes),
    )
    assert done.exit_code == 0, done.output
    assert read == await archive(here)
    assert names_in(tmp_path) == ["pipe"]


async def test_a_version_of_a_time_to_come_is_not_taken(here: Bench, there: Bench) -> None:
    """It would leave nothing to count with."""
    await bind(here, "alice", "token-1")
    version = b'"version":%d' % (await here.record("token-1")).version
    lines = (await archive(here)).replace(version, b'"version":9007199254740991')
    assert await restored(there, lines) == {Restored.FUTURE: 1}


def names_in(directory: Path) -> list[str]:
    """What files there are."""
    return sorted(path.name for path in directory.iterdir() if not path.is_dir())


async def test_the_commands(here: Bench, old: ValkeyServer, new: ValkeyServer, tmp_path: Path) -> None:
    """`bindery export` writes a file for its owner alone; `bindery import` reads it and counts, and quotes nothing."""
    await fill(here)
    first, second = tmp_path / "first.ndjson", tmp_path / "second.ndjson"
    # What an export that was killed, or somebody else, has left in its way.
    (tmp_path / f"first.ndjson.{os.getpid()}.part").touch(mode=0o644)

    async def run(server: ValkeyServer, *words: str) -> Result:
        return await asyncio.to_thread(
            CliRunner().invoke, main, words, env={**environment(server.url), "BINDERY_DATA_DIR": str(tmp_path)}
        )

    done = await run(old, "export", str(first))
    assert done.exit_code == 0, done.output
    assert "2 changes were still owed" in done.stderr
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert (await run(new, "import", str(first), "--dry-run")).stdout == "        6  new\n"
    done = await run(new, "import", str(first), "--rate", "10000")
    assert (done.exit_code, done.stdout) == (0, "        6  new\n"), done.output
    assert (await run(new, "export", str(second))).exit_code == 0
    assert second.read_bytes() == first.read_bytes()
    second.write_bytes(first.read_bytes() + b"{}\n")
    done = await run(new, "import", str(second))
    assert done.exit_code == 1
    assert "line 8: " in done.stderr
    assert "token-1" not in done.output
