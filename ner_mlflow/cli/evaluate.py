"""Score models on a split of a prepared dataset and log scores, errors and differences."""

import click

from ..tracking.lifecycle import open_run, ui_address
from ..tracking.steps import Step
from ..workflows.evaluate import run_evaluate, run_evaluate_several
from ..workflows.inputs import find_data_of_model, find_trained
from .options import (
    command,
    data_run_option,
    option,
    overrides_option,
    preset_option,
    resolve,
    set_up_logging,
    setting,
    several,
)


@command("evaluate")
@option(
    "model",
    "latest",
    "run ids, runs:/ID, models:/NAME@ALIAS, folders, with commas between, or latest (trained when there is none)",
)
@data_run_option
@setting("split", "evaluate.split")
@preset_option
@overrides_option
def evaluate(model: str, data_run: str, preset: str, overrides: str, **options: str) -> None:
    """Score one model or several: strict scores with intervals, errors by category, slices, calibration, differences."""
    set_up_logging()
    with open_run(Step.EVALUATE, f"evaluate {model}") as run:
        config = resolve(preset, options, overrides)
        models = [find_trained(run, config, address) for address in several(model, "model")]
        data = find_data_of_model(run, config, models[0], data_run)
        if len(models) > 1:
            table = run_evaluate_several(run, config.evaluate, models, data)
            click.echo(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
        else:
            record = run_evaluate(run, config.evaluate, models[0], data).record
            for name in ("f1", "f1_low", "f1_high", "precision", "recall", "accuracy"):
                click.echo(f"{record.split}/{name} {record.scores[name]:.4f}")
        click.echo(f"open next: {ui_address(run)}")
