"""Search for the best settings and register the model trained with them."""

import click

from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, data_run_option, option, preset_option, setting


@command("sweep")
@preset_option("minilm_lora")
@setting("space", "sweep.space")
@setting("objectives", "sweep.objectives")
@setting("sampler", "sweep.sampler")
@setting("pruner", "sweep.pruner")
@setting("trials", "sweep.trials")
@setting("timeout_s", "sweep.timeout_s")
@setting("jobs", "sweep.jobs")
@setting("engine", "sweep.engine")
@setting("spark_master", "sweep.spark_master")
@setting("storage", "sweep.storage")
@setting("study", "sweep.study")
@setting("final_seeds", "sweep.final_seeds")
@setting("seed", "sweep.seed")
@setting("trial_epochs", "sweep.trial_epochs")
@setting("epochs", "train.epochs")
@data_run_option
@option(
    "join",
    "none",
    "run trials of the study of this name, which another machine sweeps over the same storage, "
    "with its settings; none: sweep",
)
@option("registered_model", "it-ner", "name of the best final model in the model registry")
@option("alias", "candidate", "alias of the best final model")
def sweep(
    preset: str,
    data_run: str,
    join: str,
    registered_model: str,
    alias: str,
    given: GivenSettings,
) -> None:
    """Search for the best settings.

    Runs a trial for each set of values from a search space, prunes poor trials, trains the best
    settings again, exports and registers the best model. An interrupted study resumes.
    """
    with importing():  # `sweep --help` need not wait for MLflow
        from ..tracking.lifecycle import ui_address
        from ..tracking.records import note_preset
        from .runs import open_step
    set_up_logging()
    joins = join != "none"
    with open_step(Step.SWEEP_JOIN if joins else Step.SWEEP, given, preset) as (run, config):
        with importing():  # nor settings that are refused for PyTorch
            from ..workflows.sweep import join_sweep, run_sweep
        if joins:
            finished = join_sweep(run, config, join, set_up_logging)
            click.echo(f"{finished} trials of study {join} are finished")
            return
        note_preset(run, preset)
        swept = run_sweep(run, config, data_run, registered_model, alias, set_up_logging)
        click.echo(f"\n{swept.table.drop(columns='run').to_string(index=False)}\n")
        best = " ".join(f"{key}={value}" for key, value in swept.best.items())
        click.echo(f"best of study {swept.study}: {best}")
        if swept.version:
            click.echo(
                f"registered models:/{registered_model}/{swept.version}, "
                f"models:/{registered_model}@{alias}"
            )
        click.echo(f"open next: {ui_address(run, 'plots.html')}")
