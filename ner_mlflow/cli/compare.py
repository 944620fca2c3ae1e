"""Compare trained models of the tracking store in one report."""

import click

from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, option, preset_option, setting, split_list

COLUMNS = ["model", "precision", "recall", "f1", "f1_low", "f1_high", "p_against_best"]
"""Columns of the results that are printed."""


@command("compare")
@option(
    "runs",
    "all",
    "comma-separated ids of train runs, or all of this experiment that were evaluated on the "
    "dataset of its latest evaluation",
)
@setting("split", "evaluate.split")
@preset_option("minilm_full")
def compare(runs: str, preset: str, given: GivenSettings) -> None:
    """Compare trained models.

    Reports scores with significance, entity types, seeds, sizes, latencies, confusions, and F1
    against cost.
    """
    with importing():  # `compare --help` need not wait for MLflow
        from ..pages import markdown_table
        from ..tracking.lifecycle import ui_address
        from ..workflows.compare import run_compare
        from ..workflows.report import PAGE
        from .runs import open_step
    set_up_logging()
    with open_step(Step.COMPARE, given, preset) as (run, config):
        comparison = run_compare(run, config.evaluate, config.export, split_list(runs, "runs"))
        click.echo(f"\n{markdown_table(comparison.report.tables['results'][COLUMNS])}\n")
        click.echo(f"{' '.join(comparison.conclusion)}\n")
        click.echo(f"open next: {ui_address(run, f'{PAGE}.html')}")
