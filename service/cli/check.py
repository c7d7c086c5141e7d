"""`bindery check`: are the settings good, does what they name answer, does the store keep what it is given?

The store must not evict, must have an append-only file and the replicas that are asked for. `appendfsync` is not
looked at.
"""

import sys

import click

from service.cli.local import local_settings
from service.cli.section_check import ask_sections
from service.cli.server_check import Finding, examine
from service.cli.upstream_check import ask_upstreams


@click.command("check", short_help="Check the settings, the store, the queue and the upstreams.")
def command() -> None:
    """Check the settings, the store, the queue and upstreams.

    Exit status: 1 something is at fault, 2 the settings are.
    """
    settings = local_settings()
    click.echo(f"ok     settings: {len(settings.services)} Service(s)")
    store = examine(settings.redis_url, settings.redis_timeout, durable=True, replicas=settings.redis_replicas)
    findings = [("store", finding) for finding in store]
    well = all(finding.grade != Finding.FAULT for _, finding in findings)
    findings += [("store", finding) for finding in ask_sections(settings, well=well)]
    if settings.queue_url != settings.redis_url:
        queue = examine(settings.queue_url, settings.redis_timeout, durable=False)
        findings += [("queue", finding) for finding in queue]
    findings += [(f"upstream of {name}", finding) for name, finding in ask_upstreams(settings)]
    for what, finding in findings:
        click.echo(f"{finding.grade:<6} {what}: {finding.line}")
    if any(finding.grade == Finding.FAULT for _, finding in findings):
        sys.exit(1)
