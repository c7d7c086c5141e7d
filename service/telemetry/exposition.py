"""The metrics as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service.telemetry.catalogue import registry
from service.telemetry.processes import processes
from service.telemetry.shared import folder

_SHARED = folder()
if _SHARED is None:
    # Of several processes together there are no such things as a garbage collector's rounds.
    GCCollector(registry=registry)
    registry.register(processes)


def render(accept: str) -> tuple[bytes, str]:
    """The metrics of this process, or of all that keep theirs together, and the media type of what they are in."""
    shown = registry
    if _SHARED is not None:
        shown = CollectorRegistry()
        MultiProcessCollector(shown, path=_SHARED)
        shown.register(processes)
    encode, media_type = choose_encoder(accept)
    return encode(shown), media_type
