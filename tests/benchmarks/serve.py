"""`bindery api`, word for word, but for another application: ``python -m tests.benchmarks.serve module:factory``."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

from service.cli.api import command

_Config = uvicorn.Config


def main(application: str) -> None:
    """Serve the application that a factory makes, with the server and settings of the real API process."""

    def config(_: object, **settings: Any) -> uvicorn.Config:
        return _Config(application, **settings)

    uvicorn.Config = config  # type: ignore[assignment,misc]  # so that its settings stay written down once
    command.main([], standalone_mode=False)


if __name__ == "__main__":
    main(sys.argv[1])
