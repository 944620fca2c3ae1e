"""The main job: from a corpus to a registered model."""

import click

from ..tracking.lifecycle import open_run, ui_address
from ..tracking.steps import Step
from ..workflows.main import run_main
from .command import command, set_up_logging
from .options import GivenSettings, option, setting, source_options, split_list, weak_options


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
    set_up_logging()
    with open_run(Step.MAIN, "main") as run:
        comparison = run_main(
            run, split_list(presets, "presets"), given.values(), registered_model, alias
        )
        table = (
            comparison.table.drop(columns="train_run")
            .set_index("preset")
            .map(lambda value: f"{value:.4g}" if isinstance(value, float) else value)
        )
        click.echo(f"\n{table.T.to_string()}\n\n{comparison.note}\n")
        version = f"models:/{registered_model}/{comparison.version}"
        registered = f"registered {comparison.best.name} as {version}"
        if comparison.not_promoted:
            click.echo(registered)
            click.echo(
                f"{registered_model}@{alias} stays with its version: {comparison.not_promoted}"
            )
        else:
            click.echo(f"{registered}, models:/{registered_model}@{alias}")
        click.echo(f"open next: {ui_address(run, 'comparison.html')}")
