"""Put trained models of the tracking store side by side in one report."""

import click

from ..pages import markdown_table
from ..tracking.lifecycle import open_run, ui_address
from ..tracking.steps import Step
from ..workflows.compare import run_compare
from .options import (
    command,
    option,
    overrides_option,
    preset_option,
    resolve,
    set_up_logging,
    setting,
    several,
)


@command("compare")
@option(
    "runs",
    "all",
    "ids of train runs, commas between, or all of this experiment that were evaluated on the dataset of the latest evaluation",
)
@setting("split", "evaluate.split")
@preset_option
@overrides_option
def compare(runs: str, preset: str, overrides: str, **options: str) -> None:
    """Compare trained models: scores with significance, types, seeds, sizes and latencies, confusions, F1 against cost."""
    set_up_logging()
    with open_run(Step.COMPARE, f"compare {runs}") as run:
        config = resolve(preset, options, overrides)
        report = run_compare(run, config.evaluate, config.export, several(runs, "runs"))
        columns = ["model", "precision", "recall", "f1", "f1_low", "f1_high", "p_against_best"]
        click.echo(f"\n{markdown_table(report.tables['results'][columns])}\n")
        click.echo(f"open next: {ui_address(run, 'comparison.html')}")
