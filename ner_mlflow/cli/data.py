"""Prepare a dataset: read, relabel, check, split, oversample, log."""

import click

from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, preset_option, setting, source_options, weak_options


@command("data")
@preset_option("minilm_full")
@source_options
@setting("cross_split_duplicates", "data.cross_split_duplicates")
@setting("validation_fraction", "data.validation_fraction")
@setting("test_fraction", "data.test_fraction")
@setting("oversample_factor", "data.oversample_factor")
@setting("rare_boost", "data.rare_boost")
@setting("seed", "data.seed")
@setting("format", "data.format")
@weak_options
def data(preset: str, given: GivenSettings) -> None:
    """Prepare a dataset and log it with its statistics.

    Reads a corpus, relabels it, checks it, makes missing splits, drops duplicates and oversamples.
    With weak_source, texts without labels are labelled by rules and models, and added to train.
    """
    with importing():  # `data --help` need not wait for MLflow
        from ..tracking.lifecycle import ui_address
        from ..workflows.data import CARD, run_data
        from .runs import open_step
    set_up_logging()
    with open_step(Step.DATA, given, preset) as (run, config):
        prepared = run_data(run, config)
        click.echo(
            f"prepared {prepared.dataset.name}, fingerprint {prepared.dataset.fingerprint[:12]}, "
            f"in run {run.id}"
        )
        click.echo(f"open next: {ui_address(run, f'{CARD}.html')}")
