"""Redis URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.redis import connect
from service.redis.url import TCP, Login, Unix, parse


@pytest.mark.parametrize(
    ("url", "kind", "addresses", "login"),
    [
        ("redis://h", "single", (TCP("h", 6379),), Login()),
        ("redis://h:1/2", "single", (TCP("h", 1),), Login(db=2)),
        ("redis://h:1?db=3", "single", (TCP("h", 1),), Login(db=3)),
        ("redis://:p%40ss@h", "single", (TCP("h", 6379),), Login(password="p@ss")),
        ("redis://u%3A:a%2Fb%3A%25@[::1]:7/0", "single", (TCP("::1", 7),), Login("u:", "a/b:%")),
        ("redis://u:p@ss@h", "single", (TCP("h", 6379),), Login("u", "p@ss")),
        ("unix:///a/b%20c?db=1", "single", (Unix("/a/b c"),), Login(db=1)),
        ("unix://u:p@/a", "single", (Unix("/a"),), Login("u", "p")),
        (
            "redis+sentinel://a,b:2,[::1]:3/name/4",
            "sentinel",
            (TCP("a", 26379), TCP("b", 2), TCP("::1", 3)),
            Login(db=4),
        ),
        ("redis+cluster://u:p@a,[::2]:1/", "cluster", (TCP("a", 6379), TCP("::2", 1)), Login("u", "p")),
    ],
)
def test_urls_name_servers_and_logins(url: str, kind: str, addresses: tuple[TCP | Unix, ...], login: Login) -> None:
    """Hosts, ports, databases and percent-encoded credentials are read as the form says."""
    target = parse(url)
    assert (target.kind, target.addresses, target.login) == (kind, addresses, login)
    assert target.tls is None


def test_a_sentinel_url_names_the_primary_and_the_sentinels_own_login() -> None:
    """The Sentinels' credentials are not those of the servers they watch."""
    target = parse("redis+sentinel://u:p@a/the%20one?sentinel_username=s&sentinel_password=q%26")
    assert target.primary_name == "the one"
    assert target.sentinel_login == Login("s", "q&")


def test_tls_verifies_unless_told_not_to() -> None:
    """rediss:// checks certificate and host name; ssl_cert_reqs=none checks neither."""
    strict, lax = parse("rediss://h").tls, parse("rediss+cluster://h?ssl_cert_reqs=none").tls
    assert strict is not None
    assert lax is not None
    assert strict.check_hostname
    assert not lax.check_hostname


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis:",
        "http://:secret@h",
        "redis://",
        "redis:///0",
        "redis://:secret@",
        "redis://:secret@h:0",
        "redis://:secret@h:65536",
        "redis://:secret@h:port",
        "redis://:secret@h:",
        "redis://:secret@h:1:2",
        "redis://:secret@[::1",
        "redis://:secret@a,b",
        "redis://:secret@h/x",
        "redis://:secret@h/-1",
        "redis://:secret@h?ssl_ca_certs=x",
        "redis://:secret@h?sentinel_password=secret",
        "redis://:secret@" + "a" * 64,
        "rediss://:secret@h?ssl_cert_reqs=optional",
        "rediss://:secret@h?ssl_ca_certs=/nowhere",
        "unix://:secret@",
        "unix://host/path",
        "redis+sentinel://:secret@h",
        "redis+sentinel://:secret@h//1",
        "redis+cluster://:secret@h/1",
    ],
)
def test_a_bad_url_is_refused_without_its_secrets(url: str) -> None:
    """connect() raises ValueError, whose text has no credentials."""
    with pytest.raises(ValueError, match=r".") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


def test_a_login_hides_its_password() -> None:
    """Neither a login's nor a target's repr shows the password."""
    assert "secret" not in repr(parse("redis+sentinel://u:secret@h/n?sentinel_password=secret"))


def test_a_certificate_file_that_is_no_certificate(tmp_path: Path) -> None:
    """A TLS file's fault is found when the client is made."""
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("nonsense")
    with pytest.raises(ValueError, match="ssl_ca_certs"):
        connect(f"rediss://h?ssl_ca_certs={nonsense}")
