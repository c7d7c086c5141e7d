"""`bindery`: the command line."""

from importlib import import_module

import click

from service import __version__, standard_streams

COMMANDS = {
    "up": "service.cli.up",
    "api": "service.cli.api",
    "worker": "service.cli.worker",
    "token": "service.cli.token",
    "check": "service.cli.check",
    "settings": "service.cli.settings",
    "dead": "service.cli.dead",
    "events": "service.cli.events",
    "upstreams": "service.cli.upstreams",
    "reconcile": "service.cli.reconcile",
    "export": "service.cli.export",
    "import": "service.cli.importing",
    "diff": "service.cli.diff",
    "cutover": "service.cli.cutover",
}
"""Name of a command -> its module, which holds it as `command`; imported when it is asked for."""


class _Lazy(click.Group):
    """Imports a command's module only when that command is asked for: a start costs what it uses."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)  # noqa: S101  # what COMMANDS promises
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bindery")
def main() -> None:
    """Bindery: which push addresses belong to which identity."""
    standard_streams.open_missing()
