"""People and their devices: they log in and out, take devices over, and apps get new tokens. What must come of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Sequence

import msgspec

from tests.faults.client import Connection
from tests.faults.running import JSON, app_headers

DEVICES = 4
_ENDED = 409
_TRIES = 5


class Device(msgspec.Struct):
    """A device, whoever's it is."""

    name: str
    turn: int = 0
    """Of its token."""
    endpoint_turn: int = 0
    sessions: int = 0
    owner: str | None = None
    headers: dict[str, str] = {}
    tag: str = ""
    connections: int = 0
    connected: tuple[str, str] | None = None
    """For whom, and with which endpoint, its SDK has created a Chat binding since the last login."""

    @property
    def address(self) -> str:
        """Its token."""
        return f"token-of:{self.name}-{self.turn}"

    @property
    def endpoint(self) -> str:
        """What Chat knows it by."""
        return f"endpoint-{self.name}-{self.endpoint_turn}"


class Household:
    """Two people who share some devices; one thing at a time happens among them."""

    def __init__(self, number: int, seed: int) -> None:
        self._random = random.Random(f"{seed}/{number}")  # noqa: S311  # repeatable, not secret
        self._people = (f"anna-{number}", f"bert-{number}")
        self.devices = [Device(f"{number}-{n}") for n in range(DEVICES)]

    async def live(self, here: Connection, there: Connection, acts: int) -> None:
        """Everybody logs in somewhere; then so many things happen to each device."""
        for device in self.devices:
            await self._log_in(device, here, there)
        for _ in range(acts):
            for device in self._random.sample(self.devices, DEVICES):
                await self._act(device, here, there)

    async def _act(self, device: Device, here: Connection, there: Connection) -> None:
        act = self._random.choices(["login", "rotate", "retag", "logout", "logout of all"], [30, 30, 10, 20, 5])[0]
        if act == "login" or device.owner is None:
            await self._log_in(device, here, there)
        elif act == "rotate":
            device.turn += 1
            if self._random.random() < 0.5:
                device.endpoint_turn += 1
            await self._register(device, here)
            await self._connect(device, there)
        elif act == "retag":
            await self._register(device, here)
        elif act == "logout":
            path = f"/v1/registrations?device_id={device.name}"
            answer = await here.request("DELETE", path, device.headers)
            assert answer.status == 204, answer
            device.owner = device.connected = None
        else:
            body = msgspec.json.encode({"identity": device.owner})
            assert (await here.request("POST", "/v1/logouts", JSON, body)).status == 200
            gone = device.owner
            for other in self.devices:
                if other.owner == gone:
                    other.owner = other.connected = None

    async def _log_in(self, device: Device, here: Connection, there: Connection) -> None:
        device.owner, device.connected = self._random.choice(self._people), None
        await self._new_session(device)
        while not await self._register(device, here):
            # What was logged out altogether in this very second lets nobody in before it is over.
            await asyncio.sleep(0.2)
            await self._new_session(device)
        if self._random.random() < 0.9:
            await self._connect(device, there)

    async def _new_session(self, device: Device) -> None:
        device.sessions += 1
        assert device.owner is not None
        device.headers = app_headers(device.owner, f"{device.name}/{device.sessions}", int(time.time()))

    async def _register(self, device: Device, here: Connection) -> bool:
        device.tag = self._random.choice(["red", "green", "blue"])
        wanted = {
            "binding_type": "fcm",
            "address": device.address,
            "device_id": device.name,
            "tags": [device.tag],
            "channels": ["notify", "chat"],
            "chat": {"endpoint": device.endpoint},
        }
        answer = await here.request("POST", "/v1/registrations", device.headers, msgspec.json.encode(wanted))
        assert answer.status in (200, 202, _ENDED), answer
        return answer.status != _ENDED

    async def _connect(self, device: Device, there: Connection) -> None:
        """Its Chat SDK connects, and so creates a binding at the upstream; again, if an old delete has met it."""
        assert device.owner is not None
        device.connected = device.owner, device.endpoint
        headers = {**JSON, "Prefer": "wait=10"}
        for _ in range(_TRIES):
            device.connections += 1
            wanted = {
                "identity": device.owner,
                "binding_type": "fcm",
                # Of no meaning, but that each makes a new binding.
                "address": f"sdk:{device.name}-{device.connections}",
                "channels": ["chat"],
                "chat": {"endpoint": device.endpoint},
            }
            answer = await there.request("POST", "/v1/registrations", headers, msgspec.json.encode(wanted), patience=20)
            assert answer.status in (201, 202), answer
            if answer.status == 201:
                return
            assert answer.json()["state"] == "removed", answer
        raise AssertionError(f"a Chat binding does not stay: {answer}")

    def notify(self) -> set[tuple[str, str, tuple[str, ...]]]:
        """What is wanted: address, identity, tags."""
        return {(d.address, d.owner, (d.tag,)) for d in self.devices if d.owner is not None}

    def chat(self) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """Identities and endpoints of the Chat bindings that must be there, and of those that may be."""
        may = {(d.owner, d.endpoint) for d in self.devices if d.owner is not None}
        must = {d.connected for d in self.devices if d.connected is not None}
        return must & may, may


async def live(
    households: Sequence[Household], here: Sequence[Connection], there: Sequence[Connection], acts: int
) -> None:
    """All households live, as many at a time as there are connections."""
    following = iter(households)

    async def some(near: Connection, far: Connection) -> None:
        for household in following:
            await household.live(near, far, acts)

    await asyncio.gather(*(some(near, far) for near, far in zip(here, there, strict=True)))


def union(sets: Iterable[set[tuple[str, str]]]) -> set[tuple[str, str]]:
    """All of them together."""
    return set().union(*sets)
