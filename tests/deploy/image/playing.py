"""A rendered chart, really run: podman plays its pods, with the Services as names of their network.

Podman knows no StatefulSets, Jobs and probes of Kubernetes, and fills in no variable within another: the pods of
StatefulSets and Jobs are played as pods, probes are asked here, and such variables are filled in before. All else of a
pod, its security context above all, is played as rendered.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterable

import msgspec
import yaml

from tests.deploy.chart.helm import Document, of_kind
from tests.deploy.chart.kubelet import environment
from tests.deploy.image.machine import Machine

NETWORK = "push"
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_READY_SECONDS, _POLL_SECONDS, _STOP_SECONDS = 60, 0.1, 60
_ASK = (
    "import sys, urllib.request as r, urllib.error as e\n"
    "try: print(r.urlopen(sys.argv[1], timeout=3).status)\n"
    "except e.HTTPError as error: print(error.code)\n"
    "except OSError: print(0)\n"
)


class Ended(msgspec.Struct, frozen=True):
    """A container that has ended: its exit status and what it printed."""

    status: int
    said: str


class Played:
    """The objects of one release, as far as they run somewhere."""

    def __init__(self, machine: Machine, documents: Iterable[Document]) -> None:
        self._machine, self._documents = machine, list(documents)
        machine.run("podman", "network", "create", NETWORK)
        self._play([], *of_kind(self._documents, "Secret"))

    def start(self, kind: str, name: str) -> str:
        """Run the pod of a workload; answers the name of its container."""
        [document] = [d for d in of_kind(self._documents, kind) if d["metadata"]["name"] == name]
        claims: list[Document] = []
        if kind == "Pod":
            spec, labels = document["spec"], document["metadata"]["labels"]
        else:
            template = document["spec"]["template"]
            spec, labels = template["spec"], template["metadata"]["labels"]
        spec = copy.deepcopy(spec)
        for claim in document["spec"].get("volumeClaimTemplates", ()):
            volume = claim["metadata"]["name"]
            spec.setdefault("volumes", []).append({"name": volume, "persistentVolumeClaim": {"claimName": volume}})
            metadata = {"name": volume}
            claims.append(
                {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim["spec"]}
            )
        [container] = spec["containers"]
        for probe in _PROBES:
            container.pop(probe, None)
        filled = environment(container, self._documents)
        for variable in container.get("env", ()):
            if "$(" in variable.get("value", ""):
                variable["value"] = filled[variable["name"]]
        metadata = {"name": name, "labels": labels}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        if claims:
            self._play([], *claims)
            self._own(
                [claim["metadata"]["name"] for claim in claims], container["image"], spec["securityContext"]["fsGroup"]
            )
        maps = of_kind(self._documents, "ConfigMap")
        self._play(self._names(labels), *maps, *claims, pod)
        return f"{name}-{container['name']}"

    def probe(self, kind: str, name: str, probe: str) -> int:
        """Ask a probe of a workload's container once: the HTTP status, or for a command 200 if it ends with 0."""
        [document] = [d for d in of_kind(self._documents, kind) if d["metadata"]["name"] == name]
        [container] = document["spec"]["template"]["spec"]["containers"]
        running, asked = f"{name}-{container['name']}", container[probe]
        if "exec" in asked:
            done = self._machine.run("podman", "exec", running, *asked["exec"]["command"], check=False)
            return 200 if done.returncode == 0 else 500
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        port = ports.get(asked["httpGet"]["port"], asked["httpGet"]["port"])
        url = f"http://127.0.0.1:{port}{asked['httpGet']['path']}"
        ask = ["podman", "exec", running, "/opt/bindery/bin/python", "-c", _ASK, url]
        return int(self._machine.run(*ask, check=False).stdout or 0)

    def ready(self, kind: str, name: str) -> None:
        """Wait until a workload's container is ready."""
        end = time.monotonic() + _READY_SECONDS
        while self.probe(kind, name, "readinessProbe") != 200:
            assert time.monotonic() < end, f"{name} did not get ready: {self._all_said()}"
            time.sleep(_POLL_SECONDS)

    def ended(self, container: str, seconds: float) -> Ended:
        """Wait until a container has ended by itself."""
        waited = self._machine.run("podman", "wait", container, timeout=seconds)
        return Ended(int(waited.stdout), self.said(container))

    def stop(self, container: str, grace: int) -> tuple[float, int]:
        """Stop a container as a kubelet does; answers how long that took (seconds), and the exit status."""
        began = time.monotonic()
        self._machine.run("podman", "stop", "--time", str(grace), container, timeout=grace + _STOP_SECONDS)
        return time.monotonic() - began, int(self.inspect(container)["State"]["ExitCode"])

    def resume(self, container: str) -> None:
        """Start a stopped container again, with the files that it had."""
        self._machine.run("podman", "start", container)

    def inspect(self, container: str) -> Document:
        """What podman knows of a container."""
        [found] = json.loads(self._machine.run("podman", "container", "inspect", container).stdout)
        assert isinstance(found, dict)
        return found

    def said(self, container: str) -> str:
        """What a container has printed."""
        done = self._machine.run("podman", "logs", container)
        return done.stdout + done.stderr

    def _all_said(self) -> str:
        names = self._machine.run("podman", "ps", "--all", "--format", "{{.Names}}").stdout.split()
        return "\n".join(f"{name}:\n{self.said(name)[-2000:]}" for name in names if not name.endswith("-infra"))

    def within(self, container: str, *command: str) -> str:
        """Run a command in a container; answers what it printed."""
        return self._machine.run("podman", "exec", container, *command).stdout

    def end(self) -> None:
        """Take everything away."""
        self._machine.run("podman", "pod", "rm", "--all", "--force", "--time", "0")
        self._machine.run("podman", "volume", "rm", "--all", "--force")
        self._machine.run("podman", "secret", "rm", "--all")
        self._machine.run("podman", "network", "rm", NETWORK)

    def _own(self, volumes: list[str], image: str, group: int) -> None:
        """Let a group write to new volumes, as a kubelet does; podman gives them to whom the image's folder belongs."""
        for volume in volumes:
            run = ("podman", "run", "--rm", "--network", "none", "--volume", f"{volume}:/data", "--entrypoint", "true")
            self._machine.run(*run, image)
            form = ("--format", "{{.Mountpoint}}")
            folder = self._machine.run("podman", "volume", "inspect", *form, volume).stdout.strip()
            # As new disks have it: podman treats an empty volume as a new one, and gives it away again.
            self._machine.run("mkdir", "--parents", f"{folder}/lost+found")
            self._machine.run("chgrp", "--recursive", str(group), folder)
            self._machine.run("chmod", "--recursive", "g+rwxs", folder)

    def _names(self, labels: Document) -> list[str]:
        services = of_kind(self._documents, "Service")
        return [s["metadata"]["name"] for s in services if s["spec"]["selector"].items() <= labels.items()]

    def _play(self, names: list[str], *documents: Document) -> None:
        network = ",".join([f"{NETWORK}:", *(f"alias={name}" for name in names)]).replace(":,", ":").removesuffix(":")
        command = ("podman", "kube", "play", "--replace", "--network", network, "-")
        self._machine.run(*command, given=yaml.safe_dump_all(documents))
