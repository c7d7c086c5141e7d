"""What the README says twice is what the code says."""

from pathlib import Path

from service.api.compatible.errors import status_of
from service.domain.errors import BinderyError, InvalidInput

README = Path(__file__).parents[2] / "README.md"


def kinds(base: type[BinderyError]) -> set[type[BinderyError]]:
    """An error and everything derived from it."""
    return {base}.union(*(kinds(kind) for kind in base.__subclasses__()))


def row(kind: type[BinderyError]) -> str:
    error = InvalidInput("field", "rule") if kind is InvalidInput else kind()
    seconds = 1 if kind.status == 500 else kind.retry_after
    again = "no" if seconds is None else f"after {seconds} s"
    return f"| `{kind.slug}` | {kind.status} | {status_of(error)} / {kind.code} | {again} |"


def test_the_readme_lists_every_error() -> None:
    """The error table has a row for each error that a caller can be answered with."""
    table = README.read_text().split("<!-- errors:begin -->\n")[1].split("<!-- errors:end -->")[0]
    answered = [kind for kind in kinds(BinderyError) if kind.__module__.startswith("service.")]
    assert table.splitlines()[2:] == [row(kind) for kind in sorted(answered, key=lambda kind: kind.slug)]
