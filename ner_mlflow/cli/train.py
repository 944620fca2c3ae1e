"""Train a model on a prepared dataset and log it."""

import click

from ..config.schema import Config
from ..start_up import importing
from ..tracking.lifecycle import open_run, ui_address
from ..tracking.records import note_preset
from ..tracking.run import Run
from ..tracking.steps import Step
from ..workflows.data import TrackedDataset
from ..workflows.inputs import find_data
from .command import command, set_up_logging
from .options import GivenSettings, data_run_option, option, preset_option, setting
from .runs import open_step


@command("train")
@preset_option("minilm_full")
@setting("backbone", "model.backbone")
@setting("adaptation", "model.adaptation")
@setting("learning_rate", "train.learning_rate")
@setting("epochs", "train.epochs")
@setting("batch_size", "train.batch_size")
@setting("lora_rank", "model.lora_rank")
@setting("precision", "train.precision")
@setting("seed", "train.seed")
@data_run_option
@option(
    "resume",
    "none",
    "interrupted train run to resume, with its settings and dataset: its id, latest, or none",
)
def train(preset: str, data_run: str, resume: str, given: GivenSettings) -> None:
    """Train a model and log it with its curves, speed and sizes."""
    with importing():  # `train --help` need not wait for PyTorch
        from ..workflows.train import interrupted_inputs, interrupted_run
    set_up_logging()
    with interrupted_run(resume) as interrupted:
        if interrupted:
            with open_run(Step.TRAIN, Step.TRAIN, interrupted) as run:
                click.echo(f"resuming run {interrupted}")
                _train(run, *interrupted_inputs(interrupted))
        else:
            with open_step(Step.TRAIN, given, preset) as (run, config):
                note_preset(run, preset)
                _train(run, config, find_data(run, config, data_run))


def _train(run: Run, config: Config, data: TrackedDataset) -> None:
    from ..workflows.train import run_train

    record = run_train(run, config, data)
    click.echo(f"trained {record.model_uri} in run {run.id}")
    click.echo(f"open next: {ui_address(run)}")
