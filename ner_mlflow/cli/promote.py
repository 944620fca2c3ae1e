"""Let a registered model take the champion's place, if it is proven and not worse."""

import click

from ..tracking.lifecycle import open_run, ui_address
from ..tracking.models import check_registered_name
from ..tracking.steps import Step
from ..workflows.promote import run_promote, run_rollback
from .options import (
    command,
    flag,
    option,
    overrides_option,
    preset_option,
    resolve,
    set_up_logging,
    setting,
)


@command("promote")
@option("registered_model", "it-ner", "name in the model registry")
@option(
    "candidate",
    "candidate",
    "the version that is to be promoted: its number, an alias of it, or latest",
)
@option("alias", "champion", "the alias that the candidate is to get")
@setting("split", "promote.split")
@setting("min_f1_gain", "promote.min_f1_gain")
@setting("f1_tolerance", "promote.f1_tolerance")
@flag("dry_run", "judge and say, change nothing")
@option("force", "", "a reason to promote whatever the verdict is; it is written down")
@option(
    "rollback",
    "",
    "a reason to give the alias back to the version that had it before; nothing is judged",
)
@preset_option
@overrides_option
def promote(
    registered_model: str,
    candidate: str,
    alias: str,
    dry_run: bool,
    force: str,
    rollback: str,
    preset: str,
    overrides: str,
    **options: str,
) -> None:
    """Compare a version with the champion on the same sentences, and move the alias if it may take its place; or roll back."""
    set_up_logging()
    with open_run(
        Step.PROMOTE, f"promote {registered_model} {'rollback' if rollback else candidate}"
    ) as run:
        config = resolve(preset, options, overrides)
        check_registered_name(registered_model, alias)
        if rollback:
            undone = run_rollback(run, config, registered_model, alias, rollback, dry_run)
            champion, previous = undone.champion.version, undone.previous.version
            name = f"{registered_model}@{alias}"
            if dry_run:
                click.echo(f"nothing changed: {name} would be version {previous} again")
            else:
                click.echo(f"{name} is version {previous} again, no longer {champion}")
        else:
            done = run_promote(run, config, registered_model, candidate, alias, dry_run, force)
            click.echo(done.verdict.table.to_string(index=False))
            would = "would be promoted" if done.allowed else "would not be promoted"
            click.echo(
                f"{done.version.address} is {registered_model}@{alias} now"
                if done.moved
                else f"nothing changed: {done.version.address} {would}"
            )
            click.echo(
                f"why: {f'forced ({force}), although ' if force and not done.verdict.passed else ''}{done.verdict.reason}"
            )
        click.echo(f"open next: {ui_address(run)}")
