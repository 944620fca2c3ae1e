"""The main job: from a corpus to a registered model."""

import click

from ..tracking.lifecycle import open_run, ui_address
from ..tracking.steps import Step
from ..workflows.main import run_main
from .options import command, given, option, overrides_option, set_up_logging, setting, several


@command("main")
@option("presets", "minilm_full,minilm_lora", "the variants to train and compare, commas between")
@setting("dataset", "data.dataset")
@setting("label_map", "data.label_map")
@setting("epochs", "train.epochs")
@setting("seed", "train.seed")
@option("registered_model", "it-ner", "name in the model registry of the best variant")
@option(
    "alias",
    "champion",
    "alias that the best variant gets, if nobody has it or it may take its place as in promote",
)
@overrides_option
def main(presets: str, registered_model: str, alias: str, overrides: str, **options: str) -> None:
    """Prepare data, then train, evaluate and export each variant; compare them and register the best by validation F1."""
    set_up_logging()
    with open_run(Step.MAIN, "main") as run:
        comparison = run_main(
            run, several(presets, "presets"), given(options, overrides), registered_model, alias
        )
        columns = (
            comparison.table.drop(columns="train_run")
            .set_index("preset")
            .map(lambda value: f"{value:.4g}" if isinstance(value, float) else value)
        )
        click.echo(f"\n{columns.T.to_string()}\n\n{comparison.note}\n")
        registered = (
            f"registered {comparison.best.name} as models:/{registered_model}/{comparison.version}"
        )
        click.echo(
            registered
            if comparison.not_promoted
            else f"{registered}, models:/{registered_model}@{alias}"
        )
        if comparison.not_promoted:
            click.echo(
                f"{registered_model}@{alias} stays with its version: {comparison.not_promoted}"
            )
        click.echo(f"open next: {ui_address(run, 'comparison.html')}")
