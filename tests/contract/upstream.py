"""What these tests need of the second Bindery: its settings as an upstream, and bindings made by its own apps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import httpx

from service.backends.twilio import ChatBindings, NotifyBindings
from service.domain.services import Upstream, UpstreamApi
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, SERVICE, TOKEN, bind_chat_of, settings_of

RATE = 2000.0
"""High enough to be in no test's way."""


class Clients(NamedTuple):
    """A client of each API."""

    notify: NotifyBindings
    chat: ChatBindings
    conversations: ChatBindings


class RunningUpstream(NamedTuple):
    """The second Bindery."""

    url: str
    environ: dict[str, str]

    async def chat_bindings(self, identity: str, endpoints: Iterable[str]) -> list[str]:
        """Chat bindings, made as its own apps make them. Answers their SIDs."""
        return await bind_chat_of(settings_of(self.environ), identity, endpoints)

    async def notify_bindings(self, *identities: str) -> list[dict[str, Any]]:
        """What it holds, asked past the proxy."""
        async with httpx.AsyncClient(base_url=self.url, auth=(ACCOUNT, TOKEN)) as client:
            params = {"Identity": list(identities), "PageSize": "1000"}
            answer = await client.get(f"/v1/Services/{SERVICE}/Bindings", params=params)
            found: list[dict[str, Any]] = answer.json()["bindings"]
            return found


def upstream(url: str, api: UpstreamApi, **more: Any) -> Upstream:
    """The second Bindery as an upstream that one of the APIs is driven at."""
    return Upstream(
        **{
            "api": api,
            "url": f"{url}/conversations" if api == "conversations" else url,
            "sid": SERVICE if api == "notify" else CHAT,
            "user": ACCOUNT,
            "secret": TOKEN,
            "rate": RATE,
            "timeout": 5.0,
            **more,
        }
    )
