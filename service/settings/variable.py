"""One setting: how it is read, and what the README says of it."""

from collections.abc import Callable
from inspect import get_annotations

from msgspec import Struct


class Var(Struct, frozen=True):
    """How one setting is read. Without a `default` it is optional, or `required`."""

    name: str
    read: Callable[[str], object]
    doc: str
    default: str | None = None
    required: bool = False
    secret: bool = False
    shown_default: str | None = None


def declared(settings: type[Struct]) -> dict[str, Var]:
    """Field -> how it is read, of a struct and those that it builds on: its own first, each in the order written."""
    variables: dict[str, Var] = {}
    for kind in settings.__mro__:
        annotations = get_annotations(kind)
        variables |= {f: hint.__metadata__[0] for f, hint in annotations.items() if hasattr(hint, "__metadata__")}
    return variables
