"""Fit a model on a prepared dataset and log it."""

import click

from entrypoints import cli
from ner_mlflow.tracking.runs import open_run, where_to_look
from ner_mlflow.workflows.inputs import find_data
from ner_mlflow.workflows.steps import TRAIN_STEP
from ner_mlflow.workflows.train import interrupted_inputs, interrupted_run, run_train


@cli.command("train")
@cli.preset_option
@cli.setting("backbone", "model.backbone")
@cli.setting("adaptation", "model.adaptation")
@cli.setting("learning_rate", "train.learning_rate")
@cli.setting("epochs", "train.epochs")
@cli.setting("batch_size", "train.batch_size")
@cli.setting("lora_rank", "model.lora_rank")
@cli.setting("precision", "train.precision")
@cli.setting("seed", "train.seed")
@cli.data_run_option
@cli.option("resume", "none", "go on with an interrupted train run, with its settings and data: its id, latest, or none")
@cli.overrides_option
def train(preset: str, data_run: str, resume: str, overrides: str, **options: str) -> None:
    """Fit a model and log it with its curves, counts and sizes."""
    cli.set_up_logging()
    with interrupted_run(resume) as interrupted, open_run(TRAIN_STEP, f"train {preset}", interrupted) as run:
        if interrupted:
            click.echo(f"going on with run {interrupted}")
            config, data = interrupted_inputs(interrupted)
        else:
            config = cli.resolve(preset, options, overrides)
            run.set_tags({"preset": preset})
            data = find_data(run, config, data_run)
        model_uri = run_train(run, config, data)
        click.echo(f"trained {model_uri} in run {run.id}")
        click.echo(f"open next: {where_to_look(run)}")


if __name__ == "__main__":
    train()
