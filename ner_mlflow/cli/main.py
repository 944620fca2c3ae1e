"""The main job: from a corpus to a registered model."""

import click

from ..start_up import importing
from ..tracking.lifecycle import ui_address
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, option, setting, source_options, split_list, weak_options
from .runs import open_step

COLUMNS = ["model", "validation_f1", "f1", "f1_low", "f1_high", "p_against_best"]
"""Columns of the results that are printed."""


@command("main")
@option("presets", "minilm_full,minilm_lora", "comma-separated presets to train and compare")
@source_options
@weak_options
@setting("epochs", "train.epochs")
@setting("seed", "train.seed")
@option("registered_model", "it-ner", "name of the best model in the model registry")
@option(
    "alias",
    "champion",
    "alias of the best model; a version that has it keeps it unless it may be replaced, as in "
    "promote",
)
def main(presets: str, registered_model: str, alias: str, given: GivenSettings) -> None:
    """Run all steps from a corpus to a registered model.

    Prepares data; trains, evaluates and exports each preset; compares them and registers the best
    by validation F1. Steps that did not change are reused.
    """
    with importing():  # `main --help` need not wait for PyTorch
        from ..workflows.main import run_main
        from ..workflows.report import PAGE
    set_up_logging()
    with open_step(Step.MAIN, given, presets.partition(",")[0] or None) as (run, _):
        result = run_main(
            run, split_list(presets, "presets"), given.values(), registered_model, alias
        )
        table = result.report.tables["results"][COLUMNS].set_index("model")
        click.echo(f"\n{table.to_string(float_format=lambda value: f'{value:.4f}')}\n")
        click.echo(f"{' '.join(result.conclusion)}\n")
        click.echo(f"open next: {ui_address(run, f'{PAGE}.html')}")
