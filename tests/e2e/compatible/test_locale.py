"""Lists keep their order whatever locale the store runs in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from service.domain.fingerprints import Fingerprints, derive_key
from tests.e2e.compatible.deployment import SERVICE, environment, serving, settings_of, sids
from tests.servers.valkey import ValkeyServer

PATH = f"/v1/Services/{SERVICE}/Bindings"


@pytest.fixture
def locale_directory(tmp_path: Path) -> Path:
    """Where a locale lies whose order of text is not that of bytes."""
    made = tmp_path / "locales" / "en_US.UTF-8"
    made.parent.mkdir()
    if shutil.which("localedef") is None:
        pytest.skip("localedef is missing")
    subprocess.run(["localedef", "-i", "en_US", "-f", "UTF-8", str(made)], check=False, capture_output=True)
    if not made.exists():
        pytest.skip("localedef has no en_US here")
    return made.parent


def neighbours(secret_key: str, count: int) -> list[str]:
    """Addresses whose fingerprints share their first two bytes, and so the bucket that the store sorts."""
    prints = Fingerprints(derive_key(secret_key, "fingerprints"), SERVICE)
    buckets: dict[bytes, list[str]] = {}
    for n in range(10_000_000):
        bucket = buckets.setdefault(prints.address(f"address {n}")[:2], [])
        bucket.append(f"address {n}")
        if len(bucket) == count:
            return bucket
    raise AssertionError("no bucket filled up")


async def test_lists_are_in_the_order_of_bytes(
    locale_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that a developer started in their own locale neither skips nor repeats a binding."""
    monkeypatch.setenv("LOCPATH", str(locale_directory))
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    with ValkeyServer() as valkey:
        settings = settings_of(environment(valkey.url, tmp_path))
        async with serving(settings) as api:
            created = []
            for n, address in enumerate(neighbours(settings.secret_key, 9)):
                created.append((await api.create(PATH, Identity=f"user {n}", Address=address)).json()["sid"])
            for size in (1, 2, 50):
                assert sids(await api.walk(PATH, PageSize=size)) == sorted(created)
