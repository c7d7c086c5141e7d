"""Chat alone at the upstream: the settings of that, and what apps' SDKs make and find there."""

from __future__ import annotations

from collections.abc import Iterable

import httpx

from service.domain.record import Channel
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, TOKEN, bind_chat_of, settings_of
from tests.integration.upstream.pair import environment
from tests.servers.fault_proxy import FaultProxy
from tests.servers.valkey import ValkeyServer

BOTH = Channel.NOTIFY | Channel.CHAT


def settings_here(valkey: ValkeyServer, proxy: FaultProxy, api: str, **more: str) -> dict[str, str]:
    """Chat at the upstream, Notify here."""
    url = f"{proxy.url}/conversations" if api == "conversations" else proxy.url
    found = {
        **environment(valkey.url, proxy.url),
        "BINDERY_CHAT_UPSTREAM_URL": url,
        "BINDERY_CHAT_UPSTREAM_API": api,
        **more,
    }
    del found["BINDERY_NOTIFY_UPSTREAM_URL"], found["BINDERY_NOTIFY_UPSTREAM_SID"]
    return found


class There:
    """The upstream's Chat bindings, past the proxy and past us."""

    def __init__(self, environ: dict[str, str], url: str) -> None:
        self._environ, self._url = environ, url

    async def connect(self, identity: str, *endpoints: str) -> list[str]:
        """Apps' SDKs create bindings; answers their SIDs."""
        return await bind_chat_of(settings_of(self._environ), identity, endpoints)

    async def endpoints(self, identities: Iterable[str] = ("alice", "bob")) -> set[tuple[str, str]]:
        """Who has which."""
        async with httpx.AsyncClient(base_url=self._url, auth=(ACCOUNT, TOKEN)) as client:
            params = {"Identity": list(identities)}
            answer = await client.get(f"/v2/Services/{CHAT}/Bindings", params=params)
            return {(b["identity"], b["endpoint"]) for b in answer.json()["bindings"]}
