"""Requests in the metrics, with the children of the few combinations that there are kept at hand."""

from __future__ import annotations

from prometheus_client import Histogram

from service.telemetry.catalogue import REQUESTS

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_FAULTS = ("500", "503")

_children: dict[tuple[str, str, int], Histogram] = {}


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request: ``route`` is its template, ``-`` if it has none; ``status`` 0 if nobody was there to answer."""
    child = _children.get((method, route, status))
    if child is None:
        shown = method if method in _METHODS else "other"
        template = "unmatched" if route == "-" else route
        child = REQUESTS.labels(shown, template, str(status) if status else "none")
        # What has not happened yet is 0, not missing: of a series that begins with a fault no rate is known.
        for fault in _FAULTS:
            REQUESTS.labels(shown, template, fault)
        if shown == method:
            _children[method, route, status] = child
    child.observe(seconds)
