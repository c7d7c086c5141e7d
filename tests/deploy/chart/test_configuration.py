"""What the chart hands to a container is what Bindery's settings accept, and mean what the values said."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from service.cli.up.valkey import command_line
from service.redis.url import parse
from service.settings import Settings, load
from service.settings.model import VARIABLES
from tests.deploy.chart.helm import CHART, MATRIX, Document, Helm, named, of_kind, pods
from tests.deploy.chart.kubelet import environment, files

pytestmark = pytest.mark.slow

#: Not the chart's to set: what `bindery up` alone uses.
NOT_IN_PODS = {"BINDERY_DATA_DIR", "BINDERY_API_PROCESSES", "BINDERY_WORKER_PROCESSES"}


def settings_of(spec: Document, documents: list[Document], root: Path) -> tuple[dict[str, str], Settings]:
    """The environment and the settings of a pod's container, its files lying beneath `root`."""
    [container] = spec["containers"]
    files(spec, container, documents, root)
    environ = environment(container, documents)
    moved = {
        name: f"{root}{value}" if name in {"BINDERY_SECRETS_DIR", "BINDERY_SERVICES_FILE"} else value
        for name, value in environ.items()
    }
    ours = {name: value for name, value in moved.items() if name.startswith("BINDERY_")}
    return environ, load(ours, certificates=False)


def values_of(path: Path) -> Document:
    values: Document = yaml.safe_load(path.read_text())
    return values


@pytest.mark.parametrize("values", MATRIX, ids=lambda path: path.stem)
def test_every_pod_can_read_its_settings(helm4: Helm, values: Path, tmp_path: Path) -> None:
    """API, worker and store check start: no setting is missing, unknown or out of its range."""
    documents = helm4.render(values)
    seen = 0
    for label, spec in pods(documents).items():
        if "valkey" in label or "smoke" in label:
            continue
        _, settings = settings_of(spec, documents, tmp_path / label)
        given = values_of(values)["settings"]
        assert settings.account_sid == given["accountSid"]
        assert [s.sid for s in settings.services] == [
            s["sid"] for s in given.get("services", [{"sid": given.get("serviceSid")}])
        ]
        seen += 1
    assert seen >= 2


def test_every_setting_can_be_set(helm4: Helm, tmp_path: Path) -> None:
    """Each variable of the service is one that some entry of the matrix sets, or that pods have no use for."""
    settable: set[str] = set()
    for values in MATRIX:
        documents = helm4.render(values)
        for label, spec in pods(documents).items():
            if label.endswith("-api"):
                environ, _ = settings_of(spec, documents, tmp_path / values.stem)
                held = (tmp_path / values.stem / "run/secrets/bindery").iterdir()
                settable |= {*environ, *(path.name for path in held)}
    declared = {var.name for var in VARIABLES.values()}
    assert declared - settable == NOT_IN_PODS


def test_sentinels_with_tls(helm4: Helm, tmp_path: Path) -> None:
    """The parts of a store behind Sentinels become one URL, passwords and certificates included."""
    documents = helm4.render(CHART / "ci" / "production.yaml")
    spec = named(documents, "Deployment", "shop-bindery-worker")["spec"]["template"]["spec"]
    environ, settings = settings_of(spec, documents, tmp_path)
    url, _, query = settings.redis_url.partition("?")
    assert url == (
        "rediss+sentinel://bindery:p%40ss@sentinel-0.valkey.svc,sentinel-1.valkey.svc,sentinel-2.valkey.svc:26380/mymaster/1"
    )
    assert query.split("&") == [
        "ssl_ca_certs=/etc/bindery/redis-ca/ca.crt",
        "ssl_certfile=/etc/bindery/redis-client/tls.crt",
        "ssl_keyfile=/etc/bindery/redis-client/tls.key",
        "sentinel_password=s3ntinel",
    ]
    mounted = {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert {"/etc/bindery/redis-ca", "/etc/bindery/redis-client"} <= mounted
    assert environ["BINDERY_SECRETS_DIR"] in mounted


def test_services_keep_every_key(helm4: Helm, tmp_path: Path) -> None:
    """A Service of the values is, through its TOML file, the Service of the settings."""
    documents = helm4.render(CHART / "ci" / "production.yaml")
    spec = named(documents, "Deployment", "shop-bindery-api")["spec"]["template"]["spec"]
    _, settings = settings_of(spec, documents, tmp_path)
    buyers, sellers = settings.services
    assert (buyers.name, buyers.chat_sid[-1], buyers.cap_policy) == ("buyers", "2", "replace-oldest")
    assert (buyers.jwt_issuer, buyers.jwt_audience) == ("https://id.example.com", "push")
    assert (buyers.app_tags, buyers.protocol_versions["fcm"]) == (("ios", "android", "lang-*"), "3")
    assert (sellers.name, sellers.cap_policy) == ("sellers", "reject")
    assert buyers.notify_upstream is not None
    assert buyers.chat_upstream is not None
    assert (buyers.notify_upstream.sid[-1], buyers.notify_upstream.rate) == ("4", 20)
    assert (buyers.chat_upstream.api, buyers.chat_upstream.secret) == ("conversations", "of the account there")
    assert sellers.notify_upstream is None


def test_a_cluster_has_its_queue_elsewhere(helm4: Helm, tmp_path: Path) -> None:
    """A Cluster's hosts, IPv6 ones too, and the queue's own server."""
    documents = helm4.render(CHART / "ci" / "cluster.yaml")
    spec = named(documents, "Deployment", "push-api")["spec"]["template"]["spec"]
    _, settings = settings_of(spec, documents, tmp_path)
    assert parse(settings.redis_url).kind == "cluster"
    assert len(parse(settings.redis_url).addresses) == 3
    assert settings.queue_url == "rediss://:queue-password@queue.valkey.svc/2"


def test_old_secrets_and_api_keys_arrive(helm4: Helm, tmp_path: Path) -> None:
    """While secrets change over, both are accepted."""
    documents = helm4.render(CHART / "ci" / "values-only.yaml")
    spec = named(documents, "Deployment", "shop-devices-api")["spec"]["template"]["spec"]
    _, settings = settings_of(spec, documents, tmp_path)
    assert settings.auth_tokens == ("an auth token for trials", "the auth token before")
    assert settings.jwt_secrets[1] == "the secret of tokens before this one"
    assert [key.secret for key in settings.api_keys] == ["first", "second"]


def test_the_bundled_valkey_is_run_as_the_embedded_one(helm4: Helm) -> None:
    """Every option that `bindery up` gives its server, and that is not about its place, the bundled one has too."""
    embedded = _options(command_line("valkey-server", Path("/data"), Path("/s"))[1:])
    documents = helm4.render(CHART / "ci" / "trial.yaml")
    [server] = named(documents, "StatefulSet", "shop-bindery-valkey")["spec"]["template"]["spec"]["containers"]
    bundled = _options(server["args"])
    places = {"port", "dir", "unixsocket", "unixsocketperm", "logfile", "daemonize"}
    assert {k: v for k, v in embedded.items() if k not in places}.items() <= bundled.items()
    assert bundled["requirepass"] == "$(VALKEY_PASSWORD)"


def _options(words: list[str]) -> dict[str, str]:
    pairs = zip(words[::2], words[1::2], strict=True)
    return {name.removeprefix("--"): value for name, value in pairs}


def test_a_change_of_configuration_rolls_the_pods(helm4: Helm) -> None:
    """A changed setting or secret changes the pods' template; a changed number of pods does not."""
    trial = CHART / "ci" / "trial.yaml"

    def template(**sets: object) -> Document:
        documents = helm4.render(trial, sets=sets)
        found: Document = named(documents, "Deployment", "shop-bindery-worker")["spec"]["template"]
        return found

    before = template()
    assert template(**{"settings.logLevel": "debug"}) != before
    assert template(**{"secrets.authToken": "another auth token"}) != before
    assert template(**{"worker.autoscaling.maxReplicas": 20}) == before


def test_no_secret_is_outside_of_secrets(helm4: Helm) -> None:
    """The values of secrets are in Secrets alone, whatever else is rendered."""
    values = CHART / "ci" / "values-only.yaml"
    documents = helm4.render(values)
    given = values_of(values)
    hidden = [given["redis"]["url"], *given["secrets"].values()]
    rest = str([document for document in documents if document not in of_kind(documents, "Secret")])
    assert not [value for value in hidden if value in rest]
