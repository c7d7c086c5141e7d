"""The vendor's Node SDK, unchanged but for the base URL, against a real API process."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.compatible.deployment import ACCOUNT, CHAT, SERVICE, TOKEN, bind_chat_of, settings_of

HERE = Path(__file__).parent / "node"
INSTALL_SECONDS, RUN_SECONDS = 300, 60

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(shutil.which("node") is None or shutil.which("npm") is None, reason="node or npm is missing"),
]


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The script, with the locked SDK installed beside it; installed once, and again when the lock changes."""
    lock, stamp = HERE / "package-lock.json", HERE / "node_modules" / ".locked"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(install, cwd=HERE, check=False, timeout=INSTALL_SECONDS, capture_output=True, text=True)
        assert done.returncode == 0, f"npm could not install the SDK: {done.stderr[-2000:]}"
        stamp.write_bytes(lock.read_bytes())
    return HERE / "operations.js"


def test_the_lock_names_no_registry() -> None:
    """The lock file pins versions and digests, and leaves the registry to whoever installs."""
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
    assert not any("resolved" in package for package in packages.values())


@pytest.mark.parametrize("user", ["a user", "alice@example.org", "été"])
def test_every_operation(sdk: Path, environ: dict[str, str], server: str, user: str) -> None:
    """The Node SDK does every operation of the four resources, and understands our errors."""
    sids = asyncio.run(bind_chat_of(settings_of(environ), user, ["endpoint 1", "endpoint 2", "endpoint 3"]))
    given = {
        "baseUrl": server,
        "account": ACCOUNT,
        "token": TOKEN,
        "service": SERVICE,
        "chat": CHAT,
        "user": user,
        "chatSids": sids,
    }
    done = subprocess.run(
        ["node", str(sdk)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "every operation passed\n"
