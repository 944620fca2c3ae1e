"""Score a model on sentences written otherwise: casing, punctuation, typos, blanks, look-alikes, versions, unseen entities."""

import click

from ..tracking.lifecycle import open_run, ui_address
from ..tracking.steps import Step
from ..workflows.inputs import find_data_of_model, find_trained
from ..workflows.robustness import run_robustness
from .options import (
    command,
    data_run_option,
    list_setting,
    option,
    overrides_option,
    preset_option,
    resolve,
    set_up_logging,
    setting,
)


@command("robustness")
@option(
    "model",
    "latest",
    "a run id, runs:/ID, models:/NAME@ALIAS, a folder, or latest (trained when there is none)",
)
@data_run_option
@setting("split", "evaluate.split")
@list_setting("kinds", "robustness.kinds")
@setting("sentences", "robustness.sentences")
@setting("seed", "robustness.seed")
@preset_option
@overrides_option
def robustness(
    model: str, data_run: str, preset: str, overrides: str, **options: str | list[str]
) -> None:
    """Change sentences in seeded ways, labels kept with their words, and log how much F1 each kind and severity costs."""
    set_up_logging()
    with open_run(Step.ROBUSTNESS, f"robustness {model}") as run:
        config = resolve(preset, options, overrides)
        found = find_trained(run, config, model)
        table = run_robustness(
            run,
            config.robustness,
            config.evaluate,
            found,
            find_data_of_model(run, config, found, data_run),
        )
        click.echo(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
        click.echo(f"open next: {ui_address(run, 'robustness.png')}")
