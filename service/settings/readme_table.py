"""The README's table of settings, made from their declarations."""

from pathlib import Path

from service.settings.model import VARIABLES
from service.settings.variable import Var

BEGIN = "<!-- settings:begin -->"
END = "<!-- settings:end -->"


def markdown() -> str:
    """The table, without the markers."""
    rows = ["| variable | default | what it is |", "| --- | --- | --- |"]
    rows += [f"| `{var.name}` | {_default(var)} | {var.doc} |" for var in VARIABLES.values()]
    return "\n".join(rows) + "\n"


def is_current(readme: Path) -> bool:
    """Whether the text between the markers in `readme` is the table of today."""
    return f"{BEGIN}\n{markdown()}{END}" in readme.read_text(encoding="utf-8")


def write(readme: Path) -> None:
    """Put the table of today between the markers of `readme`.

    Raises:
        ValueError: the markers are not there.
    """
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{readme.name} must hold {BEGIN} and {END} once each")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{markdown()}{END}{after}", encoding="utf-8")


def _default(var: Var) -> str:
    if var.shown_default is not None:
        return var.shown_default
    if var.default is not None:
        return f"`{var.default}`"
    return "**required**" if var.required else "none"
