"""Score a model on a split of a prepared dataset and log scores and errors."""

import click

from entrypoints import cli
from ner_mlflow.tracking.runs import open_run, where_to_look
from ner_mlflow.workflows.evaluate import STEP, run_evaluate
from ner_mlflow.workflows.inputs import find_data_of_model, find_trained


@cli.command("evaluate")
@cli.model_option
@cli.data_run_option
@cli.setting("split", "evaluate.split")
@cli.preset_option
@cli.overrides_option
def evaluate(model: str, data_run: str, preset: str, overrides: str, **options: str) -> None:
    """Score a model: strict entity scores, confusions, frequent errors, worst sentences."""
    cli.set_up_logging()
    with open_run(STEP, f"evaluate {model}") as run:
        config = cli.resolve(preset, options, overrides)
        found = find_trained(run, config, model)
        scores = run_evaluate(run, config.evaluate, found, find_data_of_model(run, config, found, data_run))
        for name in ("f1", "precision", "recall", "accuracy"):
            click.echo(f"{config.evaluate.split}/{name} {scores[f'{config.evaluate.split}/{name}']:.4f}")
        click.echo(f"open next: {where_to_look(run)}")


if __name__ == "__main__":
    evaluate()
