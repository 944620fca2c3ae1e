"""Score models on a split of a prepared dataset."""

import click

from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, data_run_option, option, preset_option, setting, split_list


@command("evaluate")
@option(
    "model",
    "latest",
    "comma-separated models: run ids, runs:/ID, models:/NAME@ALIAS, folders, or latest (trained "
    "if there is none)",
)
@data_run_option
@setting("split", "evaluate.split")
@preset_option("minilm_full")
def evaluate(model: str, data_run: str, preset: str, given: GivenSettings) -> None:
    """Score one model or several.

    Logs strict scores with intervals, on given words and in running text, errors by category,
    slices and calibration; of several models also the differences between each two.
    """
    with importing():  # `evaluate --help` need not wait for MLflow
        from ..tracking.lifecycle import ui_address
        from ..workflows.evaluate import F1_LOST, run_evaluate, run_evaluate_several
        from ..workflows.inputs import find_data_of_model, find_trained
        from .runs import open_step
    set_up_logging()
    with open_step(Step.EVALUATE, given, preset) as (run, config):
        models = [find_trained(run, config, address) for address in split_list(model, "model")]
        data = find_data_of_model(run, config, models[0], data_run)
        if len(models) > 1:
            table = run_evaluate_several(run, config.evaluate, models, data)
            click.echo(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
        else:
            record = run_evaluate(run, config.evaluate, models[0], data).record
            for name in ("f1", "f1_low", "f1_high", "precision", "recall", "accuracy"):
                click.echo(f"{record.split}/{name} {record.scores[name]:.4f}")
            for name in (f"{record.text_kind}/f1", F1_LOST):
                click.echo(f"{name} {record.metrics[name]:.4f}")
        click.echo(f"open next: {ui_address(run)}")
