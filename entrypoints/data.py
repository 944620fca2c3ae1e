"""Prepare a dataset: read, relabel, check, split, oversample, log."""

import click

from entrypoints import cli
from ner_mlflow.tracking.runs import open_run, where_to_look
from ner_mlflow.workflows.prepare import run_data
from ner_mlflow.workflows.steps import DATA_STEP


@cli.command("data")
@cli.preset_option
@cli.setting("dataset", "data.dataset")
@cli.setting("revision", "data.revision")
@cli.setting("label_table", "data.label_table")
@cli.setting("unknown_tags", "data.unknown_tags")
@cli.setting("invalid_iob2", "data.invalid_iob2")
@cli.setting("cross_split_duplicates", "data.cross_split_duplicates")
@cli.setting("validation_fraction", "data.validation_fraction")
@cli.setting("test_fraction", "data.test_fraction")
@cli.setting("oversample_factor", "data.oversample_factor")
@cli.setting("rare_boost", "data.rare_boost")
@cli.setting("seed", "data.seed")
@cli.overrides_option
def data(preset: str, overrides: str, **options: str) -> None:
    """Prepare a dataset and log it with its statistics."""
    cli.set_up_logging()
    with open_run(DATA_STEP, f"data {options['data__dataset']}") as run:
        config = cli.resolve(preset, options, overrides)
        prepared = run_data(run, config.data)
        click.echo(f"prepared {prepared.dataset.name}, fingerprint {prepared.dataset.fingerprint[:12]}, in run {run.id}")
        click.echo(f"open next: {where_to_look(run)}")


if __name__ == "__main__":
    data()
