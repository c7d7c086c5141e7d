"""`python -m service.settings`: print the README's table of settings, check it, or write it."""

import sys
from pathlib import Path

import click

from service.settings import readme_table

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--check", type=_FILE, help="Fail unless the table in this file is current.")
@click.option("--write", type=_FILE, help="Put the current table into this file.")
def main(check: Path | None, write: Path | None) -> None:
    """Print the table of settings as Markdown."""
    if write is not None:
        readme_table.write(write)
    elif check is None:
        click.echo(readme_table.markdown(), nl=False)
    elif not readme_table.is_current(check):
        click.echo(f"{check} has another table of settings than the code: run make format", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
