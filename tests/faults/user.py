"""A user of a deployment: acts at random, alone and against others."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from tests.faults.caller import BINDINGS, Caller
from tests.faults.client import Answer
from tests.faults.effects import is_push
from tests.faults.history import CHAT, NOTIFY, Delete, Logout, Register, TurnOff
from tests.faults.running import FORM, JSON, app_headers

if TYPE_CHECKING:
    from tests.faults.load import Load


class Session(msgspec.Struct, frozen=True):
    """An app's login: a token of an identity."""

    identity: str
    name: str
    issued_at: int
    headers: dict[str, str]

    @classmethod
    def new(cls, identity: str, number: int, lifetime: int, age: int = 0) -> Session:
        """A session whose token was issued so many seconds ago, for so many seconds."""
        name, issued_at = f"{identity}/{number}", int(time.time()) - age
        return cls(identity, name, issued_at, app_headers(identity, name, issued_at, lifetime))


class User(Caller):
    """Somebody with two identities and some devices, and a back end that acts for them."""

    def __init__(self, load: Load, number: int, seed: int) -> None:
        super().__init__(number, load.deployment.connection(number), load.history, refusable=load.plan.refusable)
        self._load = load
        self._lifetime = load.plan.lifetimes[number % len(load.plan.lifetimes)]
        self._random = random.Random(f"{seed}/{number}")  # noqa: S311  # repeatable, not secret
        self._label, self._crowded = load.label, load.crowd
        self.identities = (f"{self._label}user-{number}", f"{self._label}alias-{number}")
        self.sessions = [Session.new(identity, 0, self._lifetime, age=100) for identity in self.identities]
        self._old: list[Session] = []
        self._counter = 0
        self._ids: dict[tuple[str, str], str] = {}
        self._sids: dict[tuple[str, str], tuple[str, float]] = {}

    async def run(self) -> None:
        """Act until the load ends."""
        acts = {
            self._register: 28,
            self._register_as_server: 10,
            self._create: 10,
            self._crowd: 14,
            self._log_out: 9,
            self._log_out_by_server: 6,
            self._log_another_out: 6,
            self._turn_off: 3,
            self._delete: 6,
            self._log_in_anew: 4,
            self._come_back: 5,
            self._be_refused: 3,
            self._look: 26,
            self._list: 8,
        }
        while not self._load.ending:
            act = self._random.choices(list(acts), list(acts.values()))[0]
            if not await act():
                # As a client that was told to try again later; and an outage leaves fewer unknown outcomes.
                await asyncio.sleep(self._random.uniform(0.2, 0.5))
            await asyncio.sleep(self._random.uniform(0, self._load.plan.pause))

    def _address(self) -> tuple[str, str | None]:
        """One of this client's addresses, or of the shared ones, and the device that registers it."""
        pick = self._random
        if pick.random() < 0.35:
            number = pick.randrange(self._load.plan.shared)
            address = self._load.shared(number)
            # The same device for whoever has it: a hand-over, and not a rotation.
            return address, f"{self._label}shared-device-{number}" if is_push(address) and pick.random() < 0.5 else None
        device = pick.randrange(3)
        address = f"token:{self._label}{self.number}-{device}-{pick.randrange(3)}"
        return address, f"{self._label}device-{self.number}-{device}"

    def _session(self) -> Session:
        return self._random.choice(self.sessions)

    async def _register(self) -> bool:
        return await self._register_with(self._session())

    async def _come_back(self) -> bool:
        return await self._register_with(self._random.choice(self._old)) if self._old else await self._register()

    async def _register_with(self, session: Session, place: tuple[str, str | None] | None = None) -> bool:
        address, device = place or self._address()
        while not is_push(address):
            address, device = self._address()
        chat = device is not None and "shared" not in device and self._random.random() < 0.3
        action = Register(
            address=address,
            identity=session.identity,
            device=device,
            session=session.name,
            issued_at=session.issued_at,
            channels=NOTIFY | CHAT if chat else NOTIFY,
        )
        answer = await self.write(action, "POST", "/v1/registrations", session.headers, _body(action))
        self._remember(action, answer)
        if answer is not None and answer.status == 409 and session in self.sessions:
            self._replace(session)
        return answer is not None

    async def _register_as_server(self) -> bool:
        address, device = self._address()
        identity = self._random.choice(self.identities)
        session = self._session().name if self._random.random() < 0.5 else None
        action = Register(address=address, identity=identity, device=device, session=session)
        body = _body(action, identity=identity, **({"session": session} if session else {}))
        answer = await self.write(action, "POST", "/v1/registrations", JSON, body)
        self._remember(action, answer)
        return answer is not None

    def _remember(self, action: Register, answer: Answer | None) -> None:
        if answer is not None and answer.status < 300:
            self._ids[action.identity, action.address] = answer.json()["id"]

    async def _create(self) -> bool:
        address, _ = self._address()
        return await self._create_for(self._random.choice(self.identities), address)

    async def _crowd(self) -> bool:
        return await self._create_for(self._crowded, f"token:{self._crowded}-{self._random.randrange(30)}")

    async def _create_for(self, identity: str, address: str) -> bool:
        form = {"Identity": identity, "BindingType": _kind(address), "Address": address}
        action = Register(address=address, identity=identity, compatible=True)
        answer = await self.write(action, "POST", BINDINGS, FORM, urlencode(form).encode())
        if answer is not None and answer.status == 201:
            self._sids[identity, address] = answer.json()["sid"], self.history.ops[-1].start
        return answer is not None

    async def _delete(self) -> bool:
        if not self._sids:
            return await self._create()
        mine = [key for key in self._sids if key[0] != self._crowded]
        # The crowd is to stay crowded.
        identity, address = self._random.choice(mine if mine and self._random.random() < 0.8 else list(self._sids))
        sid, made = self._sids.pop((identity, address))
        action = Delete(identity=identity, address=address, made=made)
        return await self.write(action, "DELETE", f"{BINDINGS}/{sid}", FORM) is not None

    async def _turn_off(self) -> bool:
        session = self._session()
        mine = [address for identity, address in self._ids if identity == session.identity]
        if not mine:
            return await self._register_with(session)
        address = self._random.choice(mine)
        id_ = self._ids.pop((session.identity, address))
        action = TurnOff(identity=session.identity, address=address)
        return await self.write(action, "DELETE", f"/v1/registrations/{id_}", session.headers) is not None

    async def _log_out(self) -> bool:
        session = self._session()
        _, device = self._address()
        device = device or f"{self._label}device-{self.number}-0"
        action = Logout(identity=session.identity, device=device, caller=session.name)
        path = f"/v1/registrations?device_id={device}"
        self._replace(session)
        return await self.write(action, "DELETE", path, session.headers) is not None

    async def _log_out_by_server(self) -> bool:
        session = self._session()
        address, device = self._address()
        # Of a device, a session, an address, or whatever the identity has.
        named: dict[str, Any] = self._random.choice(
            [{"device": device} if device else {}, {"session": session.name}, {"address": address}, {}]
        )
        action = Logout(identity=session.identity, **named)
        wire = {"device_id" if name == "device" else name: value for name, value in named.items()}
        body = msgspec.json.encode({"identity": session.identity, **wire})
        if "session" in named or not named:
            self._replace(session)
        answer = await self.write(action, "POST", "/v1/logouts", JSON, body)
        if answer is not None and "address" in named and is_push(address):
            # The app has not noticed.
            return await self._register_with(session, (address, device))
        return answer is not None

    async def _log_another_out(self) -> bool:
        """A server ends somebody's session, whatever that one is doing just now."""
        session = self._random.choice(self._random.choice(self._load.clients).sessions)
        action = Logout(identity=session.identity, session=session.name)
        body = msgspec.json.encode({"identity": session.identity, "session": session.name})
        return await self.write(action, "POST", "/v1/logouts", JSON, body) is not None

    async def _log_in_anew(self) -> bool:
        self._replace(self._session())
        return True

    def _replace(self, session: Session) -> None:
        self._counter += 1
        self._old = [*self._old[-9:], session]
        # Some logged in before: what a logout of anything else of theirs has fenced is known by their token's time.
        age = self._random.choice((0, 5))
        anew = Session.new(session.identity, self._counter, self._lifetime, age)
        self.sessions[self.sessions.index(session)] = anew

    async def _be_refused(self) -> bool:
        session = self._session()
        wrong: tuple[dict[str, str], bytes] = self._random.choice(
            [
                (session.headers, b"{"),
                (session.headers, b'{"binding_type": "apn", "address": "not a token"}'),
                (session.headers, b'{"binding_type": "sms", "address": "+15005550006"}'),
                ({**session.headers, "Authorization": "Bearer no.such.token"}, b"{}"),
            ]
        )
        answer = await self.send("POST", "/v1/registrations", *wrong)
        assert answer is None or answer.status in (400, 401, 403), answer
        return answer is not None

    async def _look(self) -> bool:
        others = self._random.sample(self._load.identities, 3)
        return await self.look_up(list(dict.fromkeys([self._crowded, *self.identities, *others]))) is not None

    async def _list(self) -> bool:
        return await self.list_notify(self._random.choice(self._load.identities)) is not None


def _kind(address: str) -> str:
    if not is_push(address):
        return "sms"
    return "fcm" if address.startswith("token:") else "apn"


def _body(action: Register, **more: str) -> bytes:
    channels = [name for name, flag in (("notify", NOTIFY), ("chat", CHAT)) if action.channels & flag]
    wanted = {"binding_type": _kind(action.address), "address": action.address, "channels": channels, **more}
    return msgspec.json.encode({**wanted, "device_id": action.device} if action.device else wanted)
