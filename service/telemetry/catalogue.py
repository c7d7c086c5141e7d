"""Every metric, declared once. What is observed, and where, is up to the code; what there is to see is all here.

Names follow Prometheus's conventions (https://prometheus.io/docs/practices/naming/). Every label has few values, known
beforehand: routes are templates, Services those that are configured, and nothing that a caller sends is one. No label
is called ``service``, ``job`` or ``instance``: Prometheus uses these itself.
"""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from service import __version__
from service.telemetry.processes import processes
from service.telemetry.shared import folder, process_name

if folder() is not None:
    values.ValueClass = values.MultiProcessValue(process_name)

registry = CollectorRegistry()

_MS = 0.001
_FAST = (0.25 * _MS, 0.5 * _MS, _MS, 2.5 * _MS, 5 * _MS, 10 * _MS, 25 * _MS, 50 * _MS, 0.1, 0.25, 0.5, 1.0, 2.5)
_REQUEST = (_MS, 2.5 * _MS, 5 * _MS, 10 * _MS, 25 * _MS, 50 * _MS, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_APPLIED = (5 * _MS, 10 * _MS, 25 * _MS, 50 * _MS, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0)
_JOB = (_MS, 5 * _MS, 25 * _MS, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
_CALL = (5 * _MS, 10 * _MS, 25 * _MS, 50 * _MS, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _histogram(name: str, doc: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
    return Histogram(f"bindery_{name}", doc, labels, buckets=buckets, registry=registry)


def _counter(name: str, doc: str, labels: tuple[str, ...] = ()) -> Counter:
    return Counter(f"bindery_{name}", doc, labels, registry=registry)


def _gauge(name: str, doc: str, labels: tuple[str, ...]) -> Gauge:
    # Of processes that keep their metrics together, the one that looked last is right.
    return Gauge(f"bindery_{name}", doc, labels, registry=registry, multiprocess_mode="mostrecent")


# -- the API

REQUESTS = _histogram(
    "request_duration_seconds",
    "Requests from the head's arrival to the answer's end; by method, route template and status",
    ("method", "route", "status"),
    _REQUEST,
)
REGISTRATIONS = _counter(
    "registrations", "Registrations asked for, by what became of them", ("service_name", "outcome")
)
DISPLACED = _counter(
    "registrations_displaced", "Registrations that another has taken over, rotated out or evicted", ("service_name",)
)
ADOPTIONS = _counter(
    "adoptions",
    "Bindings that were found at an upstream, by what became of them here",
    ("service_name", "source", "outcome"),
)
CACHE_LOOKUPS = _counter("cache_lookups", "Lookups in caches of the process: hit or miss", ("cache", "result"))

# -- the store and the queue

STORE_CALLS = _histogram("store_call_duration_seconds", "Transactions answered by the store", ("call",), _FAST)
STORE_FAULTS = _counter(
    "store_faults", "Transactions that the store did not answer, or answered with an error", ("fault",)
)
REDIS_CONNECTIONS = _counter("redis_connections", "Connections to store and queue: opened, lost or failed", ("event",))
JOBS_ENQUEUED = _counter("jobs_enqueued", "Jobs put on the queue, or lost on the way there", ("result",))

# -- the workers

JOBS = _histogram("job_duration_seconds", "Jobs, by ledger and outcome", ("ledger", "outcome"), _JOB)
SETTLED = _counter(
    "ledger_settled",
    "Entries of the ledger that were worked: held and gone are done, later is tried again, dead is given up",
    ("service_name", "ledger", "verdict"),
)
APPLIED = _histogram(
    "answered_to_applied_seconds",
    "From a registration's or removal's answer until it is applied",
    ("service_name", "ledger"),
    _APPLIED,
)
QUEUE_LOSSES = _counter("queue_losses", "Times that a worker has lost its queue")
LANES_SWEPT = _counter("lanes_swept", "Lanes with overdue work that a sweep had to wake", ("service_name",))

# What a sweep saw. Every worker sweeps, and tells the same: dashboards take the greatest.
_OF_LEDGER = ("service_name", "ledger")
LEDGER_DEPTH = _gauge("ledger_depth", "Entries owed, those that wait for their next try included", _OF_LEDGER)
LEDGER_OVERDUE = _gauge("ledger_overdue", "Entries owed that are due and that nobody works on", _OF_LEDGER)
LEDGER_OLDEST = _gauge("ledger_oldest_overdue_seconds", "By how much the oldest due entry is late", _OF_LEDGER)
DEAD_LETTERS = _gauge("dead_letters", "What a backend has refused for good", ("service_name",))
EVENTS = _gauge("events", "Entries of the event stream", ("service_name",))
SWEPT = _gauge("swept_timestamp_seconds", "When a sweep has last succeeded", ("service_name",))
MEMORY_USED = _gauge("store_memory_used_bytes", "Memory of the server that holds the Service", ("service_name",))
MEMORY_MAX = _gauge("store_memory_max_bytes", "Its maxmemory; 0 for none", ("service_name",))

# -- backends at an upstream

UPSTREAM_CALLS = _histogram(
    "upstream_call_duration_seconds", "Calls to an upstream", ("upstream", "operation", "outcome"), _CALL
)
UPSTREAM_WAITS = _histogram(
    "upstream_wait_seconds", "Waits of calls for the upstream's rate limit", ("upstream",), _CALL
)
UPSTREAM_BREAKER = _gauge("upstream_breaker_state", "The circuit breaker: 0 closed, 1 probing, 2 open", ("upstream",))

# -- the process

BUILD = _gauge("build_info", "What is running", ("part", "version", "python_version"))


# What has not happened yet is 0, not missing: a rate needs something to begin with.
for _fault in ("overloaded", "not-sent", "no-answer", "full", "error"):
    STORE_FAULTS.labels(_fault)
for _event in ("opened", "lost", "failed"):
    REDIS_CONNECTIONS.labels(_event)


def introduce(part: str) -> None:
    """Say what this process is: ``api`` or ``worker``."""
    BUILD.labels(part, __version__, platform.python_version()).set(1)
    processes.introduce(part)
