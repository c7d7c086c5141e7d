"""Copies of the product in which a line is another: to be given bugs, or shorter times."""

from __future__ import annotations

import shutil
from pathlib import Path

import service
import workers


def copied(directory: Path) -> Path:
    """The product's packages in a directory of their own."""
    for package in (service, workers):
        (root,) = package.__path__
        shutil.copytree(root, directory / package.__name__, ignore=shutil.ignore_patterns("__pycache__"))
    return directory


def change(product: Path, name: str, right: str, wrong: str) -> None:
    """Replace the one place in a file that reads so; without such a text, add at its end.

    Raises:
        AssertionError: the product has changed, and the place is not there.
    """
    path = product / name
    text = path.read_text()
    if right:
        assert text.count(right) == 1, f"the product has changed: there is no {right!r} to replace"
    path.write_text(text.replace(right, wrong) if right else text + wrong)
