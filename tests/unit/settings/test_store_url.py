from pathlib import Path

import pytest

from service.settings import SettingsError, load
from service.settings.store_url import is_cluster, store_url
from tests.unit.settings.test_loading import LEAST


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/3",
        "rediss://user:p%40ss@redis.example.com:6380/0?ssl_cert_reqs=none",
        "redis://[::1]:6379",
        "unix:///run/valkey.sock",
        "unix:///run/valkey.sock?db=1",
        "redis+sentinel://user:pw@h1:26379,h2:26379/mymaster/0",
        "rediss+sentinel://h1,h2/mymaster",
        "redis+cluster://h1:7000,h2:7001",
        "rediss+cluster://user:pw@h1:7000",
    ],
)
def test_every_kind_of_store_is_accepted(url: str) -> None:
    """One server, a socket, Sentinels, a Cluster; the TCP forms with TLS too."""
    assert store_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://a,b",
        "redis://h:0",
        "redis://h:65536",
        "redis://h/name",
        "unix://",
        "unix:///",
        "redis+sentinel://h1:26379",
        "redis+sentinel://h1:26379/a/b/c",
        "redis+cluster://h1,,h2",
        "redis+cluster://h1/3",
        "redis://h/0?socket_timeout=5",
        "redis://h?db=x",
        "unix:///run/valkey.sock?password=x",
        "rediss://h/0?ssl_cert_reqs=maybe",
        "redis+sentinel://h/main?sentinel_password=first&SECONDHALF",
    ],
)
def test_a_malformed_url_is_refused(url: str) -> None:
    """What no client could use is a fault at start, not an error at the first call; and no password is quoted."""
    with pytest.raises(ValueError, match="must") as caught:
        store_url(url)
    assert "SECONDHALF" not in str(caught.value)


def test_certificates_that_cannot_be_read_are_faults_of_their_urls(tmp_path: Path) -> None:
    """Who starts a process learns it from a line that names the variable; a look from elsewhere leaves them alone."""
    nonsense = tmp_path / "ca.crt"
    nonsense.write_text("nonsense")
    urls = {
        "BINDERY_REDIS_URL": f"rediss://:secret@h?ssl_ca_certs={tmp_path}/none.crt",
        "BINDERY_QUEUE_URL": f"rediss://:secret@h?ssl_ca_certs={nonsense}",
    }
    with pytest.raises(SettingsError) as caught:
        load({**LEAST, **urls})
    store, queue = sorted(caught.value.faults, reverse=True)
    assert store.startswith("BINDERY_REDIS_URL must be one to connect with: ssl_ca_certs")
    assert queue.startswith("BINDERY_QUEUE_URL must be one to connect with: ssl_ca_certs")
    assert "secret" not in store + queue
    assert load({**LEAST, **urls}, certificates=False).redis_url == urls["BINDERY_REDIS_URL"]


def test_a_cluster_needs_a_queue_of_its_own() -> None:
    """arq has no Cluster support, so the queue must be named and be no Cluster."""
    cluster = {**LEAST, "BINDERY_REDIS_URL": "redis+cluster://a:7000,b:7000"}
    with pytest.raises(SettingsError, match="BINDERY_QUEUE_URL must be set"):
        load(cluster)
    with pytest.raises(SettingsError, match="BINDERY_QUEUE_URL must not be a Cluster"):
        load({**cluster, "BINDERY_QUEUE_URL": "redis+cluster://a:7000"})
    settings = load({**cluster, "BINDERY_QUEUE_URL": "redis://q"})
    assert (is_cluster(settings.redis_url), settings.queue_url) == (True, "redis://q")
