"""Search for good settings: a run for each trial, plots, and the best settings' model, registered."""

import click

from entrypoints import cli
from ner_mlflow.config import preset_names
from ner_mlflow.tracking.runs import open_run, where_to_look
from ner_mlflow.workflows.inputs import find_data
from ner_mlflow.workflows.steps import SWEEP_JOIN_STEP, SWEEP_STEP
from ner_mlflow.workflows.sweep import join_sweep, run_sweep


@cli.command("sweep")
@cli.option("preset", "minilm_lora", f"settings that trials start from: {', '.join(preset_names())}, or a YAML file")
@cli.setting("space", "sweep.space")
@cli.list_setting("objectives", "sweep.objectives")
@cli.setting("sampler", "sweep.sampler")
@cli.setting("pruner", "sweep.pruner")
@cli.setting("trials", "sweep.trials")
@cli.setting("timeout_s", "sweep.timeout_s")
@cli.setting("jobs", "sweep.jobs")
@cli.setting("engine", "sweep.engine")
@cli.setting("spark_master", "sweep.spark_master")
@cli.setting("storage", "sweep.storage")
@cli.setting("study", "sweep.study")
@cli.list_setting("final_seeds", "sweep.final_seeds", empty="none")
@cli.setting("seed", "sweep.seed")
@cli.setting("trial_epochs", "sweep.trial_epochs")
@cli.setting("epochs", "train.epochs")
@cli.data_run_option
@cli.option("join", "none", "run trials of the study of that name, which another machine sweeps over the same storage; needs no other settings")
@cli.option("registered_model", "it-ner", "name in the model registry of the best final model")
@cli.option("alias", "candidate", "alias that the best final model gets")
@cli.overrides_option
def sweep(preset: str, data_run: str, join: str, registered_model: str, alias: str, overrides: str, **options: str | list[str]) -> None:
    """Try settings of a search space, prune what stands badly, and train, export and register the best; a study goes on where it stopped."""
    cli.set_up_logging()
    config = cli.resolve(preset, options, overrides)
    with open_run(SWEEP_STEP if join == "none" else SWEEP_JOIN_STEP, f"sweep {preset}" if join == "none" else f"join {join}") as run:
        if join != "none":
            click.echo(f"{join_sweep(run, config, join, cli.set_up_logging)} trials of study {join} are finished")
            return
        run.set_tags({"preset": preset})
        swept = run_sweep(run, config, find_data(run, config, data_run), registered_model, alias, cli.set_up_logging)
        click.echo(f"\n{swept.table.drop(columns='run').to_string(index=False)}\n")
        click.echo(f"best of study {swept.study}: {' '.join(f'{key}={value}' for key, value in swept.best.items())}")
        if swept.version:
            click.echo(f"registered models:/{registered_model}/{swept.version}, models:/{registered_model}@{alias}")
        click.echo(f"open next: {where_to_look(run, 'plots.html')}")


if __name__ == "__main__":
    sweep()
