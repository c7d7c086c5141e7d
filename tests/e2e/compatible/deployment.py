"""A deployment of two Services for these tests, and a caller of its compatible routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from litestar import Litestar

from service.app import create_app
from service.bootstrap import runtime
from service.domain.addresses import BindingType
from service.domain.jobs import LANES, Lane, Ledger
from service.domain.record import Channel
from service.settings import Settings, load
from service.usecases.reconciling import reconcile_chat, reconcile_notify
from service.usecases.registering import Request, register
from service.usecases.service import Directory, Service
from service.usecases.views import RegistrationView

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "an auth token for tests"
SERVICE, CHAT = "IS" + "a" * 32, "IS" + "c" * 32
OTHER, OTHER_CHAT = "IS" + "b" * 32, "IS" + "d" * 32
EVICTING = "IS" + "e" * 32
ORIGIN = "http://bindery.test"

_SERVICES = f"""
[[service]]
sid = "{SERVICE}"
chat_sid = "{CHAT}"
name = "main"

[[service]]
sid = "{OTHER}"
chat_sid = "{OTHER_CHAT}"
name = "other"
protocol_versions = {{ apn = "2" }}

[[service]]
sid = "{EVICTING}"
name = "evicting"
cap_policy = "replace-oldest"
"""


def environment(redis_url: str, directory: Path) -> dict[str, str]:
    """The settings of the deployment, as environment variables; its Services file lies in ``directory``."""
    services = directory / "services.toml"
    services.write_text(_SERVICES)
    return {
        "BINDERY_REDIS_URL": redis_url,
        "BINDERY_SERVICES_FILE": str(services),
        "BINDERY_SECRET_KEY": "a secret key of more than 32 bytes",
        "BINDERY_ACCOUNT_SID": ACCOUNT,
        "BINDERY_AUTH_TOKEN": TOKEN,
        "BINDERY_API_KEYS": f"SK{'1' * 32}:the secret of a key",
        "BINDERY_JWT_SECRET": "a secret for tokens of 32 bytes or more",
    }


class Api:
    """A server that calls the routes of an application in this process."""

    def __init__(self, app: Litestar, client: httpx.AsyncClient) -> None:
        self.app = app
        self.client = client

    @property
    def directory(self) -> Directory:
        """The application's Services."""
        directory: Directory = self.app.state.directory
        return directory

    @property
    def service(self) -> Service:
        """The first Service."""
        return self.directory.default()

    async def create(self, path: str, **fields: object) -> httpx.Response:
        """Create a Notify binding; values that are not given are valid ones."""
        form = {"Identity": "alice", "BindingType": "apn", "Address": "address", **fields}
        data = {name: value for name, value in form.items() if value is not None}
        return await self.client.post(path, data=data)

    async def get(self, url: str, **params: Any) -> httpx.Response:
        """Ask for a URL, absolute ones included."""
        if params:
            return await self.client.get(url, params=params)
        return await self.client.get(url)

    async def walk(self, url: str, **params: Any) -> list[dict[str, Any]]:
        """Every binding of a list, page after page."""
        bindings: list[dict[str, Any]] = []
        answer = await self.get(url, **params)
        while True:
            assert answer.status_code == 200, answer.text
            page = answer.json()
            bindings += page["bindings"]
            following = page["meta"]["next_page_url"]
            if following is None:
                return bindings
            answer = await self.get(following)

    async def bind_chat(
        self,
        identity: str,
        endpoint: str,
        *,
        kind: BindingType = BindingType.FCM,
        service: Service | None = None,
        **more: Any,
    ) -> str:
        """A Chat binding, made as apps make them: registered, then applied by a worker. Answers its SID."""
        return await bind_chat(service or self.service, identity, endpoint, kind=kind, **more)


async def bind_chat(
    service: Service, identity: str, endpoint: str, *, kind: BindingType = BindingType.FCM, **more: Any
) -> str:
    """A Chat binding, made as apps make them: registered, then applied by a worker. Answers its SID."""
    registered = await create_chat(service, identity, endpoint, kind, **more)
    record = await service.reading.registration(bytes.fromhex(registered.id[:24]))
    assert record is not None
    chat = await service.reading.chat_binding(record.link)
    assert chat is not None
    return str(chat.sid)


async def create_chat(
    service: Service, identity: str, endpoint: str, kind: BindingType, **more: Any
) -> RegistrationView:
    """The same, whether it comes to show or not."""
    digits = endpoint.encode().hex()
    address = digits.rjust(64, "0") if kind is BindingType.APN else f"token:{digits}"
    request = Request(identity=identity, kind=kind, address=address, endpoint=endpoint, channels=Channel.CHAT, **more)
    _, registered = await register(service, request)
    await drain(service)
    return registered


async def bind_chat_of(settings: Settings, identity: str, endpoints: Iterable[str]) -> list[str]:
    """Chat bindings of one identity, made beside a server that runs elsewhere. Answers their SIDs."""
    async with runtime(settings) as running:
        service = running.directory.default()
        return [await bind_chat(service, identity, endpoint) for endpoint in endpoints]


async def drain(service: Service) -> None:
    """Apply everything that is owed, as a worker does."""
    for number in range(LANES):
        notify, chat = Lane(service.sid, Ledger.NOTIFY, number), Lane(service.sid, Ledger.CHAT, number)
        while lease := await service.ledgers.take(notify, 100, 10_000):
            settlements = await reconcile_notify(service, lease)
            await service.ledgers.settle(notify, lease.token, settlements)
        while taken := await service.ledgers.take_chat(chat, 100, 10_000):
            token, work = taken
            for owed in work:
                settlements = await reconcile_chat(service, owed)
                await service.ledgers.settle_chat(chat, token, owed.owner, settlements, external=False)


def settings_of(environ: Mapping[str, str], **more: str) -> Settings:
    """The deployment's settings, with more variables."""
    return load({**environ, **more})


@asynccontextmanager
async def serving(settings: Settings, *, peer: str = "127.0.0.1", origin: str = ORIGIN) -> AsyncIterator[Api]:
    """The application in this process, called as a server from ``peer``."""
    app = create_app(settings)
    # Litestar spells the ASGI types out; httpx takes any mapping.
    transport = httpx.ASGITransport(cast(Any, app), client=(peer, 40000))
    async with (
        _started(app),
        httpx.AsyncClient(transport=transport, base_url=origin, auth=(ACCOUNT, TOKEN)) as client,
    ):
        yield Api(app, client)


@asynccontextmanager
async def _started(app: Litestar) -> AsyncIterator[None]:
    # In a task of its own: a lifespan must end in the task that began it, and fixtures are not promised that.
    started, ending = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await ending.wait()

    life = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield
    finally:
        ending.set()
        await life


def sids(bindings: Iterable[Mapping[str, Any]]) -> list[str]:
    """The SIDs of bindings, in order."""
    return [binding["sid"] for binding in bindings]


def path_of(url: str) -> str:
    """The path of a URL."""
    return urlsplit(url).path
