"""Put trained models of the tracking store side by side in one report."""

import click

from entrypoints import cli
from ner_mlflow.evaluation.comparison import markdown_table
from ner_mlflow.tracking.runs import open_run, where_to_look
from ner_mlflow.workflows.compare import run_compare
from ner_mlflow.workflows.steps import COMPARE_STEP


@cli.command("compare")
@cli.option("runs", "all", "ids of train runs, commas between, or all of this experiment that were evaluated on the dataset of the latest evaluation")
@cli.setting("split", "evaluate.split")
@cli.preset_option
@cli.overrides_option
def compare(runs: str, preset: str, overrides: str, **options: str) -> None:
    """Compare trained models: scores with significance, types, seeds, sizes and latencies, confusions, F1 against cost."""
    cli.set_up_logging()
    with open_run(COMPARE_STEP, f"compare {runs}") as run:
        config = cli.resolve(preset, options, overrides)
        report = run_compare(run, config.evaluate, cli.several(runs, "runs"))
        columns = ["model", "precision", "recall", "f1", "f1_low", "f1_high", "p_against_best"]
        click.echo(f"\n{markdown_table(report.tables['results'][columns])}\n")
        click.echo(f"open next: {where_to_look(run, 'comparison.html')}")


if __name__ == "__main__":
    compare()
