"""Deliver what earlier commands could not log, because the tracking store was away."""

import click

from ..start_up import importing
from .command import command, set_up_logging
from .options import GivenSettings, flag


@command("sync")
@flag("show", "show what waits, deliver nothing")
def sync(show: bool, given: GivenSettings) -> None:  # noqa: ARG001  # sync has no settings
    """Deliver to the tracking store what earlier commands could not.

    A store that is away stops no work: what is logged is kept in an outbox on this disk, and
    delivered by itself when the store answers. What a command left when it ended, or was killed,
    is delivered by the next command, or by this one.
    """
    with importing():  # `sync --help` need not wait for MLflow
        from ..tracking.outbox import damaged_outboxes
        from ..tracking.queries import store_address
        from ..workflows.sync import run_sync, waiting_runs
    set_up_logging()
    if show:
        waiting = waiting_runs()
        click.echo(waiting.to_string(index=False) if len(waiting) else "nothing waits")
        for damaged in damaged_outboxes():
            click.echo(damaged)
        return
    delivered = run_sync()
    click.echo(f"delivered to {store_address()}: {delivered} runs")
