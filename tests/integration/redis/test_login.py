"""What a connection says first."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from service.redis import NotSent, Refused, connect
from tests.servers.valkey import ValkeyServer


async def test_credentials_database_and_name(server: ValkeyServer) -> None:
    """A user of the URL is logged in, its database selected, the client named."""
    server.call("ACL", "SETUSER", "app", "on", ">p@ss", "~*", "+@all")
    redis = connect(f"redis://app:p%40ss@127.0.0.1:{server.port}/3", client_name="somebody")
    await redis.command("SET", "k", "v")
    info = await redis.command("CLIENT", "INFO")
    assert isinstance(info, bytes)
    assert {b"name=somebody", b"user=app", b"db=3"} <= set(info.split())
    await redis.aclose()


async def test_a_user_who_may_not_name_its_client_is_served(server: ValkeyServer) -> None:
    """The client's name is a courtesy: an ACL that withholds it keeps nobody out."""
    server.call("ACL", "SETUSER", "app", "on", ">p", "~*", "+get")
    redis = connect(f"redis://app:p@127.0.0.1:{server.port}")
    assert await redis.command("GET", "k") is None
    await redis.aclose()


@pytest.mark.parametrize(
    ("userinfo", "says"),
    [(":wrong-secret@", "AUTH: WRONGPASS"), ("app:wrong-secret@", "AUTH: WRONGPASS"), ("", "NOAUTH")],
)
async def test_wrong_credentials_are_told_at_once_and_without_them(userinfo: str, says: str) -> None:
    """A refused login fails its calls before their timeout, says so, and shows no password."""
    with ValkeyServer(tcp=True) as server:
        server.call("CONFIG", "SET", "requirepass", "right-secret")
        redis = connect(f"redis://{userinfo}127.0.0.1:{server.port}", timeout=5)
        start = time.monotonic()
        with pytest.raises(Refused, match=says) as caught:
            await redis.ping()
        assert time.monotonic() - start < 2
        assert "secret" not in str(caught.value)
        await redis.aclose()


async def test_a_password_put_right_lets_calls_through(server: ValkeyServer) -> None:
    """After a refusal, attempts go on in the background."""
    server.call("CONFIG", "SET", "requirepass", "old")
    redis = connect(f"unix://:new@{server.socket}")
    with pytest.raises(Refused):
        await redis.ping()
    other = connect(f"unix://:old@{server.socket}")
    await other.command("CONFIG", "SET", "requirepass", "new")
    await other.aclose()
    async with asyncio.timeout(2):
        while True:
            try:
                await redis.ping()
            except Refused:
                continue
            break
    await redis.aclose()


async def test_a_database_out_of_range_is_refused(server: ValkeyServer) -> None:
    """SELECT's error is the call's error."""
    redis = connect(f"{server.url}?db=999")
    with pytest.raises(Refused, match="SELECT"):
        await redis.ping()
    await redis.aclose()


async def test_too_many_clients_is_not_for_ever(server: ValkeyServer) -> None:
    """A full server is tried again, and named as the reason meanwhile."""
    first, second = connect(server.url, timeout=0.5), connect(server.url, timeout=0.5)
    await first.ping()
    await first.command("CONFIG", "SET", "maxclients", 1)
    with pytest.raises(NotSent, match=r"max number of clients|lost"):
        await second.ping()
    await first.command("CONFIG", "SET", "maxclients", 100)
    await asyncio.sleep(0)
    await second.command("PING", timeout=2)
    await first.aclose()
    await second.aclose()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


async def test_tls(server: ValkeyServer, certificate: Path) -> None:
    """rediss:// speaks TLS to servers whose certificate it trusts, and to no others unless told so.

    The server is real, its TLS is not: the binary of the tests has none, so a relay takes it off.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(server.socket)
        await asyncio.gather(copy(reader, upstream_writer), copy(upstream_reader, writer))

    listener = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    for query in (f"?ssl_ca_certs={certificate}.crt", "?ssl_cert_reqs=none"):
        trusting = connect(f"rediss://127.0.0.1:{port}{query}")
        words = [b"x" * 50_000] * 20
        assert await asyncio.gather(*[trusting.command("ECHO", word) for word in words]) == words
        await trusting.aclose()
    wary = connect(f"rediss://127.0.0.1:{port}")
    with pytest.raises(Refused, match="certificate is not trusted"):
        await wary.ping()
    await wary.aclose()
    listener.close()
    await listener.wait_closed()
