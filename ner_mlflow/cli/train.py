"""Train a model on a prepared dataset and log it."""

from typing import TYPE_CHECKING

import click

from ..config.schema import Config
from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, data_run_option, option, preset_option, setting

if TYPE_CHECKING:
    from ..tracking.run import Run
    from ..workflows.data import TrackedDataset
    from ..workflows.train import TrainInputs

NO_RUN = "none"
"""The value of ``resume`` that names no run."""


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
    NO_RUN,
    "interrupted train run to resume, with its settings and dataset: its id, latest, or none",
)
def train(preset: str, data_run: str, resume: str, given: GivenSettings) -> None:
    """Train a model and log it with its curves, speed and sizes."""
    with importing():  # `train --help` need not wait for MLflow
        from ..tracking.records import note_preset
        from ..workflows.inputs import find_data
        from .runs import open_step
    set_up_logging()
    if resume != NO_RUN:
        _resume(resume)
        return
    with open_step(Step.TRAIN, given, preset) as (run, config):
        with importing():  # settings that are refused need not wait for PyTorch
            from ..workflows.train import find_inputs
        note_preset(run, preset)
        inputs = find_inputs(config)  # a missing backbone is refused before data is prepared
        _train(run, config, find_data(run, config, data_run), inputs)


def _resume(address: str) -> None:
    with importing():
        from ..tracking.lifecycle import open_run
        from ..workflows.train import interrupted_inputs, interrupted_run
    with (
        interrupted_run(address) as interrupted,
        open_run(Step.TRAIN, Step.TRAIN, interrupted) as run,
    ):
        click.echo(f"resuming run {interrupted}")
        _train(run, *interrupted_inputs(interrupted))


def _train(
    run: "Run", config: Config, data: "TrackedDataset", inputs: "TrainInputs | None" = None
) -> None:
    from ..tracking.lifecycle import ui_address
    from ..workflows.train import run_train

    record = run_train(run, config, data, inputs)
    click.echo(f"trained {record.model_uri} in run {run.id}")
    click.echo(f"open next: {ui_address(run)}")
