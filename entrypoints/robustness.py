"""Score a model on sentences written otherwise: casing, punctuation, typos, blanks, look-alikes, versions, unseen entities."""

import click

from entrypoints import cli
from ner_mlflow.tracking.runs import open_run, where_to_look
from ner_mlflow.workflows.inputs import find_data_of_model, find_trained
from ner_mlflow.workflows.robustness import run_robustness
from ner_mlflow.workflows.steps import ROBUSTNESS_STEP


@cli.command("robustness")
@cli.option("model", "latest", "a run id, runs:/ID, models:/NAME@ALIAS, a folder, or latest (trained when there is none)")
@cli.data_run_option
@cli.setting("split", "evaluate.split")
@cli.list_setting("kinds", "robustness.kinds")
@cli.setting("sentences", "robustness.sentences")
@cli.setting("seed", "robustness.seed")
@cli.preset_option
@cli.overrides_option
def robustness(model: str, data_run: str, preset: str, overrides: str, **options: str | list[str]) -> None:
    """Change sentences in seeded ways, labels kept with their words, and log how much F1 each kind and severity costs."""
    cli.set_up_logging()
    with open_run(ROBUSTNESS_STEP, f"robustness {model}") as run:
        config = cli.resolve(preset, options, overrides)
        found = find_trained(run, config, model)
        table = run_robustness(run, config.robustness, config.evaluate, found, find_data_of_model(run, config, found, data_run))
        click.echo(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
        click.echo(f"open next: {where_to_look(run, 'robustness.png')}")


if __name__ == "__main__":
    robustness()
