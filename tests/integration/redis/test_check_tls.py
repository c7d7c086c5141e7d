"""`bindery check` over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from service.cli.server_check import Finding, examine
from service.redis import Refused, connect
from tests.servers.valkey import ValkeyServer


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A self-signed certificate for another host, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    path = tmp_path / "server.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=another.example"]
    command += ["-addext", "subjectAltName=DNS:another.example", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


async def test_check_believes_no_certificate_of_another_host(elsewhere: Path) -> None:
    """What the service refuses, `bindery check` refuses, and gives no password to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(elsewhere)
    heard, relays = bytearray(), list[asyncio.Task[None]]()

    with ValkeyServer("--requirepass", "secret-password") as server:

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: bool = False) -> None:
            try:
                while chunk := await reader.read(65536):
                    if note:
                        heard.extend(chunk)
                    writer.write(chunk)
                    await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            upstream_reader, upstream_writer = await asyncio.open_unix_connection(server.socket)
            parts = copy(reader, upstream_writer, note=True), copy(upstream_reader, writer)
            relays.extend(asyncio.create_task(part) for part in parts)

        listener = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
        port = listener.sockets[0].getsockname()[1]
        url = f"rediss://:secret-password@127.0.0.1:{port}?ssl_ca_certs={elsewhere}.crt"
        client = connect(url)
        with pytest.raises(Refused, match="certificate is not trusted"):
            await client.ping()
        await client.aclose()
        assert b"secret-password" not in heard
        found = await asyncio.to_thread(lambda: list(examine(url, 2.0, durable=True)))
        listener.close()
        await asyncio.gather(*relays)
        assert b"secret-password" not in heard
        assert any(finding.grade == Finding.FAULT for finding in found)
