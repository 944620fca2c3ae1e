"""Let a registered model replace the champion if it is proven and not worse, or roll back."""

import click

from ..errors import ModelError
from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, flag, option, preset_option, setting


@command("promote")
@option("registered_model", "it-ner", "name in the model registry")
@option("candidate", "candidate", "version to promote: its number, one of its aliases, or latest")
@option("alias", "champion", "alias that the candidate gets")
@setting("split", "promote.split")
@setting("min_f1_gain", "promote.min_f1_gain")
@setting("f1_tolerance", "promote.f1_tolerance")
@flag("dry_run", "print the verdict, change nothing")
@flag("fail_if_refused", "end with an error if the promotion is refused, as a pipeline may need")
@option("force", "", "reason to promote whatever the verdict is; it is recorded")
@option(
    "rollback", "", "reason to give the alias back to its previous version, without a comparison"
)
@preset_option("minilm_full")
def promote(
    registered_model: str,
    candidate: str,
    alias: str,
    dry_run: bool,
    fail_if_refused: bool,
    force: str,
    rollback: str,
    preset: str,
    given: GivenSettings,
) -> None:
    """Promote a registered version, or roll back.

    Compares the version with the champion on the same sentences, and moves the alias if the
    version is proven and not worse.
    """
    with importing():  # `promote --help` need not wait for MLflow
        from ..tracking.lifecycle import ui_address
        from ..tracking.records import Outcome
        from ..tracking.registration import check_registered_name
        from ..workflows.promote import run_promote, run_rollback
        from .runs import open_step
    set_up_logging()
    refusal = ""
    with open_step(Step.PROMOTE, given, preset) as (run, config):
        check_registered_name(registered_model, alias)
        aliased = f"{registered_model}@{alias}"
        if rollback:
            undone = run_rollback(run, config, registered_model, alias, rollback, dry_run)
            champion, previous = undone.champion.version, undone.previous.version
            click.echo(
                f"nothing changed: {aliased} would be version {previous} again"
                if dry_run
                else f"{aliased} is version {previous} again, no longer {champion}"
            )
        else:
            promotion = run_promote(run, config, registered_model, candidate, alias, dry_run, force)
            address = promotion.version.address
            click.echo(promotion.verdict.table.to_string(index=False))
            if promotion.moved:
                click.echo(f"{address} is {aliased} now: {promotion.reason}")
            elif promotion.outcome == Outcome.DRY_RUN:
                would = "would be promoted" if promotion.allowed else "would be refused"
                click.echo(f"nothing changed: {address} {would}: {promotion.reason}")
            else:
                refusal = (
                    f"{address} does not become {aliased}, refused: {promotion.reason}; to promote "
                    "it all the same: force='the reason why'"
                )
                click.echo(refusal)
        click.echo(f"open next: {ui_address(run)}")
    if refusal and fail_if_refused:
        raise ModelError(refusal)  # outside: the run itself did its work, and ends FINISHED
