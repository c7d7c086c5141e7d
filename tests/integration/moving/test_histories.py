"""A store that was read back from an archive goes on like the one that it was taken from."""

from __future__ import annotations

import io
import random
from typing import Any

import msgspec
import pytest

from service.domain.addresses import BindingType
from service.domain.archive import encode_line
from service.domain.errors import CapReached
from service.domain.record import Channel
from service.store.archives import Restored
from service.usecases.ending import log_out
from service.usecases.moving.exporting import export
from service.usecases.moving.restoring import restore
from service.usecases.registering import Request, register
from tests.integration.workers.bench import Bench

KINDS = BindingType.APN, BindingType.FCM, BindingType.GCM, BindingType.SMS
CHANNELS = Channel.NOTIFY, Channel.CHAT, Channel.NOTIFY | Channel.CHAT


async def step(dice: random.Random, *benches: Bench) -> None:
    """The same in each: a login of any kind, which may take over or rotate, or a logout."""
    identity, device = f"user-{dice.randrange(6)}", dice.choice([None, *(f"device-{n}" for n in range(8))])
    kind, channels, number = dice.choice(KINDS), dice.choice(CHANNELS), dice.randrange(14)
    address = {BindingType.APN: f"{number:064x}", BindingType.SMS: f"+1500555{number:04}"}.get(kind, f"token-{number}")
    tags, endpoint = tuple(dice.sample(["a", "b", "c"], dice.randrange(3))), dice.choice([None, "e-1", "e-2", "e-3"])
    out, session = dice.random() < 0.25, dice.choice([None, "s-1", "s-2"])
    for bench in benches:
        if out:
            await log_out(bench.service, identity, device_id=device)
            continue
        push = kind is not BindingType.SMS
        request = Request(
            identity=identity,
            kind=kind,
            address=address,
            device_id=device,
            tags=tags,
            channels=channels if push else Channel.NOTIFY,
            endpoint=endpoint if push and channels & Channel.CHAT else None,
            session=session,
        )
        try:
            await register(bench.service, request)
        except CapReached:
            assert device or not push


async def lines(bench: Bench) -> bytes:
    """The archive."""
    return b"".join([encode_line(line) + b"\n" async for some in export(bench.service) for line in some])


def wanted(archive: bytes) -> list[Any]:
    """What is wanted, without what tells versions and times apart."""
    found = [msgspec.json.decode(line) for line in archive.splitlines()]
    for line in found:
        for part in (line, line.get("chat") or {}):
            for field in ("sid", "version", "generation", "created", "updated", "seen"):
                part.pop(field, None)
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_both_go_on_alike(here: Bench, there: Bench, seed: int) -> None:
    """After the same further steps both want the same; what is read back later is the same again."""
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    for number in range(120):
        await step(dice, here)
        if number % 10 == 0:
            await here.drain_all()
    before = await lines(here)
    assert (await restore(there.service, io.BytesIO(before))).total() == before.count(b"\n") - 1
    assert await lines(there) == before
    for _ in range(80):
        await step(dice, here, there)
    for bench in (here, there):
        await bench.drain_all()
        assert not await bench.depth()
    assert wanted(await lines(there)) == wanted(await lines(here))


async def check_maps(bench: Bench) -> None:
    """Identities' maps hold just what the Service's list does; devices and endpoints have one address of a kind."""
    found = [msgspec.json.decode(line) for line in (await lines(bench)).splitlines()[1:]]
    devices, endpoints = set(), set()
    for identity in {line["identity"] for line in found}:
        mine = [line for line in found if line["identity"] == identity]
        owner = bench.service.fingerprints.owner(identity)
        [pairs] = await bench.service.reading.registrations_of([owner])
        assert {record.address for record, _ in pairs or ()} == {line["address"] for line in mine}
        [chats] = await bench.service.reading.chat_bindings_of([owner])
        noted = sorted(chat.address for chat in chats or ())
        assert noted == sorted(line["chat"]["endpoint"] for line in mine if "chat" in line)
    for line in found:
        apple = line["binding_type"] == "apn"
        if "device_id" in line and line["binding_type"] != "sms":
            assert (line["device_id"], apple) not in devices
            devices.add((line["device_id"], apple))
        if "chat" in line:
            assert (line["chat"]["endpoint"], apple) not in endpoints
            endpoints.add((line["chat"]["endpoint"], apple))


@pytest.mark.parametrize("seed", range(4))
async def test_an_archive_is_read_into_a_store_that_has_moved_on(here: Bench, there: Bench, seed: int) -> None:
    """Whatever wins, an address has one owner, a device one address, and nothing is left over."""
    dice = random.Random(seed)  # noqa: S311  # as above
    for number in range(100):
        await step(dice, *dice.choice([(here,), (there,), (here, there)]))
        if number % 10 == 0:
            await here.drain_all()
            await there.drain_all()
    await restore(there.service, io.BytesIO(await lines(here)))
    await there.drain_all()
    assert not await there.depth()
    await check_maps(there)
    assert set(await restore(there.service, io.BytesIO(await lines(there)))) <= {Restored.SAME}
