"""The chart's pods, as rendered, really run and do what Bindery is for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.chart.helm import CHART, Document, Helm
from tests.deploy.image.building import IMAGE, VALKEY
from tests.deploy.image.machine import Machine
from tests.deploy.image.playing import Played

pytestmark = pytest.mark.slow

API, WORKER = ("Deployment", "shop-bindery-api"), ("Deployment", "shop-bindery-worker")
SERVER = ("StatefulSet", "shop-bindery-valkey")
API_CONTAINER, WORKER_CONTAINER = "shop-bindery-api-api", "shop-bindery-worker-worker"
SERVER_CONTAINER = "shop-bindery-valkey-valkey"
#: Podman's names have no proxies before them: a Service is reached at its pods' own port.
SETS: dict[str, object] = {
    "image": {"repository": IMAGE.split(":")[0], "tag": "test", "pullPolicy": "Never"},
    "valkey.image": {"repository": VALKEY.split(":")[0], "tag": "8.1", "pullPolicy": "Never"},
    "service.port": 8080,
    "settings.shutdownGrace": 4,
    "settings.shutdownDelay": 1,
}


@pytest.fixture(scope="module")
def documents(helm4: Helm) -> list[Document]:
    """What helm makes of the trial's values, with images of ours."""
    return helm4.render(CHART / "ci" / "trial.yaml", sets=SETS)


@pytest.fixture(scope="module")
def played(containers: Machine, documents: list[Document]) -> Iterator[Played]:
    """The release, its Valkey ready, API and worker started."""
    release = Played(containers, documents)
    try:
        release.start(*SERVER)
        release.ready(*SERVER)
        release.start(*WORKER)
        release.start(*API)
        release.ready(*API)
        release.ready(*WORKER)
        yield release
    finally:
        release.end()


def test_the_smoke_test_passes(played: Played) -> None:
    """The pod of `helm test` registers a device, sees it applied by the worker, and logs it out."""
    ended = played.ended(played.start("Pod", "shop-bindery-smoke"), seconds=60)
    assert (ended.status, ended.said.splitlines()[-1:]) == (0, ["PASSED"]), ended.said


def test_the_store_check_passes(played: Played) -> None:
    """`bindery check` has nothing to find in the bundled Valkey, not even a note."""
    ended = played.ended(played.start("Job", "shop-bindery-store-check"), seconds=60)
    assert ended.status == 0, ended.said
    assert {line.split()[0] for line in ended.said.splitlines()} == {"ok"}, ended.said


def test_the_store_check_fails_a_release_whose_store_evicts(played: Played) -> None:
    """The Job ends with 1 and says what is wrong and how to mend it."""

    def evict(policy: str) -> None:
        assert played.within(SERVER_CONTAINER, "valkey-cli", "config", "set", "maxmemory-policy", policy) == "OK\n"

    evict("allkeys-lru")
    try:
        ended = played.ended(played.start("Job", "shop-bindery-store-check"), seconds=60)
    finally:
        evict("noeviction")
    assert ended.status == 1
    assert "maxmemory-policy is allkeys-lru: CONFIG SET maxmemory-policy noeviction" in ended.said


@pytest.mark.parametrize("container", [API_CONTAINER, WORKER_CONTAINER, SERVER_CONTAINER])
def test_pods_run_as_the_profile_says(played: Played, container: str) -> None:
    """As user 10001, with a read-only root, no capability and no way to any, under a seccomp profile."""
    found = played.inspect(container)
    assert found["Config"]["User"].split(":")[0] == "10001"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["EffectiveCaps"] in (None, [])
    assert found["BoundingCaps"] in (None, [])
    assert "no-new-privileges" in found["HostConfig"]["SecurityOpt"]
    assert found["HostConfig"]["Privileged"] is False
    assert found["State"]["Running"] is True


def test_secrets_are_files_and_not_variables(played: Played, documents: list[Document]) -> None:
    """A container's environment has none of Bindery's secrets."""
    environ = " ".join(played.inspect(API_CONTAINER)["Config"]["Env"])
    assert "BINDERY_SECRETS_DIR=/run/secrets/bindery" in environ
    assert "a secret of tokens" not in environ
    assert "an auth token for trials" not in environ
    assert documents


def test_probes_tell_the_truth(played: Played) -> None:
    """While the store is away API and worker are alive and not ready; when it is back they are, without a restart."""
    played.stop(SERVER_CONTAINER, grace=20)
    for workload in (API, WORKER):
        assert played.probe(*workload, "startupProbe") == 200
        assert played.probe(*workload, "livenessProbe") == 200
        assert played.probe(*workload, "readinessProbe") == 503
    played.resume(SERVER_CONTAINER)
    for workload in (SERVER, API, WORKER):
        played.ready(*workload)
    assert played.inspect(API_CONTAINER)["RestartCount"] == 0
    assert played.inspect(WORKER_CONTAINER)["RestartCount"] == 0


def test_a_stop_is_clean_and_within_the_grace(played: Played) -> None:
    """On SIGTERM both processes, each the first of its container, end by themselves and in time."""
    for container in (WORKER_CONTAINER, API_CONTAINER):
        seconds, status = played.stop(container, grace=9)
        assert status == 0, played.said(container)
        assert seconds < 6
