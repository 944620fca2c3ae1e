"""Tag a whole corpus with a registered model."""

import click

from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, option, preset_option, setting


@command("predict")
@option(
    "model",
    "models:/it-ner@champion",
    "an exported model: models:/NAME@ALIAS, the id of an export run, or a folder",
)
@option("input", "", "corpus to tag: a .jsonl, .jsonl.gz or .parquet file")
@option(
    "output",
    "",
    "file to write, which must not exist; its name ends as those of its format do; with "
    "engine=spark a folder of Parquet files, also hdfs:// or s3a://",
)
@setting("text_column", "predict.text_column")
@setting("format", "predict.format")
@setting("engine", "predict.engine")
@setting("spark_master", "predict.spark_master")
@preset_option("minilm_full")
def predict(
    model: str,
    input: str,
    output: str,
    preset: str,
    given: GivenSettings,
) -> None:
    """Add a column `entities` to a corpus, or write it in the format of an annotation tool.

    Streams through this process with bounded memory, or runs on a Spark cluster.
    """
    if not input or not output:
        raise click.UsageError(
            "--input and --output are needed: give a file with texts, and a file to write"
        )
    with importing():  # `predict --help` need not wait for MLflow
        from ..tracking.lifecycle import ui_address
        from ..tracking.models import find_model
        from ..workflows.predict import run_predict
        from .runs import open_step
    set_up_logging()
    with open_step(Step.PREDICT, given, preset) as (run, config):
        metrics = run_predict(run, config.predict, find_model(model), input, output)
        click.echo(
            f"{metrics['texts']:.0f} texts in {metrics['seconds']:.1f} s "
            f"({metrics['texts_per_s']:.0f} a second): {output}"
        )
        click.echo(f"open next: {ui_address(run)}")
