"""Score models on a split of a prepared dataset and log scores, errors and differences."""

import click

from ..tracking.runs import open_run, where_to_look
from ..workflows.evaluate import run_evaluate, run_evaluate_several
from ..workflows.inputs import find_data_of_model, find_trained
from ..workflows.steps import EVALUATE_STEP
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
    with open_run(EVALUATE_STEP, f"evaluate {model}") as run:
        config = resolve(preset, options, overrides)
        models = [find_trained(run, config, address) for address in several(model, "model")]
        data = find_data_of_model(run, config, models[0], data_run)
        if len(models) > 1:
            table = run_evaluate_several(run, config.evaluate, models, data)
            click.echo(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
        else:
            scores = run_evaluate(run, config.evaluate, models[0], data)
            for name in ("f1", "f1_low", "f1_high", "precision", "recall", "accuracy"):
                click.echo(
                    f"{config.evaluate.split}/{name} {scores[f'{config.evaluate.split}/{name}']:.4f}"
                )
        click.echo(f"open next: {where_to_look(run)}")
