"""Search for good settings: a run for each trial, plots, and the best settings' model, registered."""

import click

from ..config.loading import preset_names
from ..tracking.lifecycle import open_run, ui_address
from ..tracking.records import note_preset
from ..tracking.steps import Step
from ..workflows.inputs import find_data
from ..workflows.sweep import join_sweep, run_sweep
from .options import (
    command,
    data_run_option,
    list_setting,
    option,
    overrides_option,
    resolve,
    set_up_logging,
    setting,
)


@command("sweep")
@option(
    "preset",
    "minilm_lora",
    f"settings that trials start from: {', '.join(preset_names())}, or a YAML file",
)
@setting("space", "sweep.space")
@list_setting("objectives", "sweep.objectives")
@setting("sampler", "sweep.sampler")
@setting("pruner", "sweep.pruner")
@setting("trials", "sweep.trials")
@setting("timeout_s", "sweep.timeout_s")
@setting("jobs", "sweep.jobs")
@setting("engine", "sweep.engine")
@setting("spark_master", "sweep.spark_master")
@setting("storage", "sweep.storage")
@setting("study", "sweep.study")
@list_setting("final_seeds", "sweep.final_seeds", empty="none")
@setting("seed", "sweep.seed")
@setting("trial_epochs", "sweep.trial_epochs")
@setting("epochs", "train.epochs")
@data_run_option
@option(
    "join",
    "none",
    "run trials of the study of that name, which another machine sweeps over the same storage; needs no other settings",
)
@option("registered_model", "it-ner", "name in the model registry of the best final model")
@option("alias", "candidate", "alias that the best final model gets")
@overrides_option
def sweep(
    preset: str,
    data_run: str,
    join: str,
    registered_model: str,
    alias: str,
    overrides: str,
    **options: str | list[str],
) -> None:
    """Try settings of a search space, prune what stands badly, and train, export and register the best; a study goes on where it stopped."""
    set_up_logging()
    config = resolve(preset, options, overrides)
    with open_run(
        Step.SWEEP if join == "none" else Step.SWEEP_JOIN,
        f"sweep {preset}" if join == "none" else f"join {join}",
    ) as run:
        if join != "none":
            click.echo(
                f"{join_sweep(run, config, join, set_up_logging)} trials of study {join} are finished"
            )
            return
        note_preset(run, preset)
        swept = run_sweep(
            run, config, find_data(run, config, data_run), registered_model, alias, set_up_logging
        )
        click.echo(f"\n{swept.table.drop(columns='run').to_string(index=False)}\n")
        click.echo(
            f"best of study {swept.study}: {' '.join(f'{key}={value}' for key, value in swept.best.items())}"
        )
        if swept.version:
            click.echo(
                f"registered models:/{registered_model}/{swept.version}, models:/{registered_model}@{alias}"
            )
        click.echo(f"open next: {ui_address(run, 'plots.html')}")
