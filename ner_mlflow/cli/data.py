"""Prepare a dataset: read, relabel, check, split, oversample, log."""

import click

from ..tracking.lifecycle import open_run, ui_address
from ..tracking.steps import Step
from ..workflows.data import run_data
from .options import command, overrides_option, preset_option, resolve, set_up_logging, setting


@command("data")
@preset_option
@setting("dataset", "data.dataset")
@setting("revision", "data.revision")
@setting("label_map", "data.label_map")
@setting("unknown_tags", "data.unknown_tags")
@setting("invalid_iob2", "data.invalid_iob2")
@setting("cross_split_duplicates", "data.cross_split_duplicates")
@setting("validation_fraction", "data.validation_fraction")
@setting("test_fraction", "data.test_fraction")
@setting("oversample_factor", "data.oversample_factor")
@setting("rare_boost", "data.rare_boost")
@setting("seed", "data.seed")
@overrides_option
def data(preset: str, overrides: str, **options: str) -> None:
    """Prepare a dataset and log it with its statistics."""
    set_up_logging()
    with open_run(Step.DATA, f"data {options['data__dataset']}") as run:
        config = resolve(preset, options, overrides)
        prepared = run_data(run, config.data)
        click.echo(
            f"prepared {prepared.dataset.name}, fingerprint {prepared.dataset.fingerprint[:12]}, in run {run.id}"
        )
        click.echo(f"open next: {ui_address(run)}")
