"""`bindery reconcile`: what becomes of an identity's Chat bindings at the upstream, and why."""

from __future__ import annotations

import asyncio
import time

import click
import msgspec

from service.backends.twilio import Attempt, UpstreamError
from service.bootstrap import runtime
from service.cli.local import local_settings
from service.cli.wanted_service import service_named
from service.domain.errors import BinderyError
from service.domain.judging import Judgement
from service.usecases.upstream.chat_reconciling import delete_unwanted, judged

_SECONDS = 60.0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A binding at the upstream, and what becomes of it."""

    sid: str
    binding_type: str
    endpoint: str
    decision: str
    why: str


@click.command("reconcile", short_help="Delete an identity's unwanted Chat bindings at the upstream.")
@click.option("--identity", required=True, help="Whose bindings.")
@click.option("--service", "wanted", metavar="NAME", help="The Service: its SID or name; the first by default.")
@click.option("--dry-run", is_flag=True, help="Change nothing.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(identity: str, wanted: str | None, dry_run: bool, as_json: bool) -> None:
    """List an identity's Chat bindings at the upstream, say which go and why, and delete those (not in a dry run)."""
    try:
        lines = [_line(judgement) for judgement in asyncio.run(_run(identity, wanted, dry_run))]
    except (BinderyError, UpstreamError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(msgspec.json.encode(lines).decode())
        return
    if not lines:
        click.echo("no Chat bindings there")
    for line in lines:
        click.echo(f"{line.decision:<6} {line.sid}  {line.binding_type:<4} {line.endpoint}  ({line.why})")


async def _run(identity: str, wanted: str | None, dry_run: bool) -> list[Judgement]:
    async with runtime(local_settings()) as running:
        service = service_named(running.directory, wanted)
        await service.section.open()
        upstream = service.chat_upstream
        if upstream is None:
            raise click.ClickException("this Service has no Chat upstream: there is nothing to reconcile")
        attempt = Attempt(time.monotonic() + _SECONDS + upstream.config.timeout)
        [judgements] = await judged(service, upstream, [identity], attempt)
        if isinstance(judgements, UpstreamError):
            raise judgements
        if not dry_run:
            await delete_unwanted(upstream, judgements, attempt)
        return judgements


def _line(judgement: Judgement) -> Line:
    binding = judgement.binding
    return Line(
        sid=binding.sid,
        binding_type=binding.binding_type,
        endpoint=binding.endpoint,
        decision="keep" if judgement.kept else "delete",
        why=judgement.why.value,
    )
