"""The metrics as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service.telemetry.catalogue import registry
from service.telemetry.shared import folder

_SHARED = folder()
if _SHARED is None:
    # Of several processes together there is no such thing as the memory or the CPU time.
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)


def render(accept: str) -> tuple[bytes, str]:
    """The metrics of this process, or of all that keep theirs together, and the media type of what they are in."""
    shown = registry
    if _SHARED is not None:
        shown = CollectorRegistry()
        MultiProcessCollector(shown, path=_SHARED)
    encode, media_type = choose_encoder(accept)
    return encode(shown), media_type
