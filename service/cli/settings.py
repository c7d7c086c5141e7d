"""`bindery settings`: every variable there is."""

import click

from service.settings.model import VARIABLES
from service.settings.readme_table import markdown


@click.command("settings", short_help="List the environment variables and their defaults.")
@click.option("--markdown", "as_markdown", is_flag=True, help="As the README's table.")
def command(as_markdown: bool) -> None:
    """List the environment variables, their defaults and what they are."""
    if as_markdown:
        click.echo(markdown(), nl=False)
        return
    for var in VARIABLES.values():
        default = var.shown_default or var.default or ("required" if var.required else "none")
        click.echo(f"{var.name}  [{default}]\n    {var.doc}")
