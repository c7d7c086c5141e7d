"""Redis URLs.

    redis://[user:password@]host[:6379][/db]                    rediss:// with TLS
    unix://[user:password@]/path/to/socket[?db=N]
    redis+sentinel://[user:password@]h1[:26379],h2/name[/db]    rediss+sentinel:// with TLS
    redis+cluster://[user:password@]h1[:6379],h2                rediss+cluster:// with TLS

Query parameters: `db`; with TLS `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs` (`required` or
`none`); with Sentinel `sentinel_username`, `sentinel_password`. Credentials are percent-encoded, IPv6 hosts
stand in brackets.
"""

from __future__ import annotations

import ssl
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote

import msgspec

Kind: TypeAlias = Literal["single", "sentinel", "cluster"]

_KINDS: dict[str, tuple[Kind, bool]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "unix": ("single", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_TLS_PARAMETERS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})
_SENTINEL_PARAMETERS = frozenset({"sentinel_username", "sentinel_password"})


class TCP(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


class Unix(NamedTuple):
    """The path of a server's unix socket."""

    path: str


Address: TypeAlias = TCP | Unix


class Login(msgspec.Struct, frozen=True):
    """What a connection says first. Its repr hides the password."""

    username: str | None = None
    password: str | None = None
    db: int = 0

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, db={self.db})"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed URL: how to find the server or servers, and how to log in."""

    kind: Kind
    addresses: tuple[Address, ...]
    login: Login
    tls: ssl.SSLContext | None = None
    primary_name: str = ""
    sentinel_login: Login = Login()


def parse(url: str, *, files: bool = True) -> Target:
    """Reads a URL of the forms above, and the TLS files it names; without ``files`` those are left unread.

    Raises ValueError, whose text never holds credentials.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _KINDS:
        raise ValueError(f"a Redis URL starts with one of {', '.join(f'{name}://' for name in _KINDS)}")
    kind, secure = _KINDS[scheme]
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    userinfo, _, hosts = authority.rpartition("@")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    allowed = {"db"}
    allowed |= _TLS_PARAMETERS if secure else set()
    allowed |= _SENTINEL_PARAMETERS if kind == "sentinel" else set()
    if set(parameters) - allowed:
        # Not by name: it may be the rest of a password that was not percent-encoded.
        raise ValueError(f"a {scheme}:// URL takes no other parameters than {', '.join(sorted(allowed))}")

    primary_name, database = "", path
    addresses: tuple[Address, ...]
    if scheme == "unix":
        if hosts or not path:
            raise ValueError("a unix:// URL names an absolute path")
        addresses, database = (Unix(unquote(slash + path)),), ""
    else:
        default_port = 26379 if kind == "sentinel" else 6379
        addresses = tuple(_host_port(part, default_port) for part in hosts.split(","))
    if kind == "sentinel":
        primary_name, _, database = path.partition("/")
        if not primary_name:
            raise ValueError("a Sentinel URL names the primary after the hosts: /name")
    if kind == "single" and len(addresses) > 1:
        raise ValueError(f"a {scheme}:// URL names one host")
    db = _database(parameters.get("db", database))
    if kind == "cluster" and db:
        raise ValueError("a Redis Cluster has no database but 0")

    username, _, password = userinfo.partition(":")
    return Target(
        kind=kind,
        addresses=addresses,
        login=Login(unquote(username) or None, unquote(password) or None, db),
        tls=_tls(parameters, files=files) if secure else None,
        primary_name=unquote(primary_name),
        sentinel_login=Login(parameters.get("sentinel_username"), parameters.get("sentinel_password")),
    )


def _host_port(text: str, default_port: int) -> TCP:
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        well_formed = bool(bracket) and (not tail or tail.startswith(":"))
        port = tail[1:]
    else:
        host, colon, port = text.partition(":")
        well_formed = ":" not in port and (not colon or bool(port))
    try:
        host.encode("ascii" if ":" in host else "idna")
    except UnicodeError:
        well_formed = False
    number = default_port
    if port:
        number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    if not host or not well_formed or not 0 < number < 65536:
        raise ValueError("a Redis URL names its servers as host:port")
    return TCP(host, number)


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise ValueError("the database in a Redis URL is a number")
    return int(text or 0)


def _tls(parameters: dict[str, str], *, files: bool) -> ssl.SSLContext:
    requirement = parameters.get("ssl_cert_reqs", "required")
    if requirement not in ("required", "none"):
        raise ValueError("ssl_cert_reqs is required or none")
    try:
        context = ssl.create_default_context(cafile=parameters.get("ssl_ca_certs") if files else None)
        if files and (certificate := parameters.get("ssl_certfile")):
            context.load_cert_chain(certificate, parameters.get("ssl_keyfile"))
    except OSError as error:
        raise ValueError("ssl_ca_certs, ssl_certfile or ssl_keyfile cannot be read") from error
    if requirement == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
