"""Whether an upstream that was away is back: asked even where nothing is owed there that would ask by itself."""

from __future__ import annotations

from service.backends.twilio.resource import NOBODYS
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream


async def probe_step(upstream: NotifyUpstream | ChatUpstream) -> None:
    """Ask for a binding that nobody has, while the breaker lets single calls through to see how they end.

    Raises:
        UpstreamError, StoreUnavailable: it will be asked again.
    """
    room, _ = await upstream.room()
    if room == 1:
        await upstream.bindings.fetch(NOBODYS)
