"""Tag a whole corpus with a registered model."""

from pathlib import Path

import click

from ..tracking.lifecycle import open_run, ui_address
from ..tracking.models import find_model
from ..tracking.steps import Step
from ..workflows.predict import run_predict
from .options import (
    command,
    option,
    overrides_option,
    preset_option,
    resolve,
    set_up_logging,
    setting,
)


@command("predict")
@option(
    "model",
    "models:/it-ner@champion",
    "an exported model: models:/NAME@ALIAS, an export run's id, or a folder",
)
@option("input", "", "the corpus: .jsonl, .jsonl.gz or .parquet")
@option(
    "output",
    "",
    "a file that does not exist yet, of one of these kinds; on Spark a folder of Parquet files, hdfs:// or s3a:// too",
)
@setting("text_column", "predict.text_column")
@setting("engine", "predict.engine")
@setting("spark_master", "predict.spark_master")
@preset_option
@overrides_option
def predict(
    model: str, input: str, output: str, preset: str, overrides: str, **options: str
) -> None:
    """Add a column `entities` to a corpus: streaming with bounded memory, or on a Spark cluster."""
    set_up_logging()
    if not input or not output:
        raise click.UsageError(
            "give an input and an output: a file with texts, and the name of one that is to be written"
        )
    with open_run(Step.PREDICT, f"predict {Path(input).name}") as run:
        config = resolve(preset, options, overrides)
        metrics = run_predict(run, config.predict, find_model(model), input, output)
        click.echo(
            f"{metrics['texts']:.0f} texts in {metrics['seconds']:.1f} s ({metrics['texts_per_s']:.0f} a second): {output}"
        )
        click.echo(f"open next: {ui_address(run)}")
