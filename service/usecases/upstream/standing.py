"""How each upstream stands: does it answer, and does it take our credentials?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import msgspec

from service.backends.twilio import Attempt, Refused, UpstreamError
from service.backends.twilio.errors import AccountRefused, NotTheApi, Throttled, Unreachable
from service.redis import RedisError
from service.usecases.service import Directory
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream

_PATIENCE = 2.0
"""Seconds for admission, beside what the upstream's own timeout allows for connecting and for the answer."""


class Standing(msgspec.Struct, frozen=True):
    """What became of asking an upstream for a page of bindings; without a ``fault`` it lists them."""

    service_name: str
    api: str
    url: str
    fault: str | None = None


async def ask_upstreams(directory: Directory) -> list[Standing]:
    """Ask every upstream of every Service, one after the other: they may share an account, and its rate."""
    return [await _ask(name, upstream, None) for name, upstream in _upstreams(directory)]


async def ask_accounts(directory: Directory, seconds: float) -> list[Standing]:
    """Ask every account once, by one of the Services that have it, all at the same time.

    Who takes more than ``seconds`` is at fault.
    """
    accounts: dict[tuple[str, str], tuple[str, NotifyUpstream | ChatUpstream]] = {}
    for name, upstream in _upstreams(directory):
        accounts.setdefault((upstream.config.url, upstream.config.user), (name, upstream))
    return list(await asyncio.gather(*(_ask(name, upstream, seconds) for name, upstream in accounts.values())))


def _upstreams(directory: Directory) -> Iterator[tuple[str, NotifyUpstream | ChatUpstream]]:
    for service in directory.services:
        for upstream in (service.notify_upstream, service.chat_upstream):
            if upstream is not None:
                yield service.config.name, upstream


async def _ask(name: str, upstream: NotifyUpstream | ChatUpstream, seconds: float | None) -> Standing:
    standing = Standing(name, upstream.config.api, upstream.config.url)
    attempt = Attempt(time.monotonic() + 2 * upstream.config.timeout + _PATIENCE)
    try:
        async with asyncio.timeout(seconds):
            # Else a store that does not answer would look like an upstream that does not.
            await upstream.account.admission.health()
            await upstream.bindings.page(attempt=attempt)
    except UpstreamError as error:
        return msgspec.structs.replace(standing, fault=f"{error.reason}: {_mending(error)}")
    except TimeoutError:
        return msgspec.structs.replace(standing, fault=f"no answer within {seconds:g} seconds; {_WAITS}")
    except RedisError:
        return msgspec.structs.replace(standing, fault="not asked: the store, which keeps its rate, did not answer")
    return standing


_WAITS = "its work waits until it answers"


def _mending(error: UpstreamError) -> str:
    match error:
        case AccountRefused():
            return "set the user and the secret that it takes"
        case Unreachable():
            return f"is its URL right, and may this process get there (DNS, egress rules, TLS)? {_WAITS.capitalize()}"
        case Throttled():
            return f"set a lower rate; {_WAITS}"
        case Refused() | NotTheApi():
            return "are its URL and its Service SID right, and does what is before it let this through?"
    return _WAITS
