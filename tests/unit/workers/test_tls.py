"""TLS to the queue, as the URL asks for it."""

from __future__ import annotations

from workers.connection import open_queue


def test_certificates_and_host_names_are_checked_unless_the_url_says_no() -> None:
    """redis-py leaves the host name unchecked by default; we do not."""
    kwargs = open_queue("rediss://cache.example:6380/1", timeout=2).connection_pool.connection_kwargs
    assert (kwargs["ssl_cert_reqs"], kwargs["ssl_check_hostname"]) == ("required", True)
    kwargs = open_queue("rediss://cache.example?ssl_cert_reqs=none", timeout=2).connection_pool.connection_kwargs
    assert (kwargs["ssl_cert_reqs"], kwargs["ssl_check_hostname"]) == ("none", False)
