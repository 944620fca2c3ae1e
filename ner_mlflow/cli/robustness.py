"""Score a model on perturbed sentences."""

import click

from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, data_run_option, option, preset_option, setting


@command("robustness")
@option(
    "model",
    "latest",
    "a run id, runs:/ID, models:/NAME@ALIAS, a folder, or latest (trained if there is none)",
)
@data_run_option
@setting("split", "evaluate.split")
@setting("kinds", "robustness.kinds")
@setting("sentences", "robustness.sentences")
@setting("seed", "robustness.seed")
@preset_option("minilm_full")
def robustness(model: str, data_run: str, preset: str, given: GivenSettings) -> None:
    """Measure the F1 that a model loses on perturbed sentences.

    Perturbs sentences by a seed (casing, punctuation, typos, blanks, look-alikes, versions, unseen
    entities) while labels stay with their words, and logs the loss by kind and severity.
    """
    with importing():  # `robustness --help` need not wait for MLflow
        from ..tracking.lifecycle import ui_address
        from ..workflows.inputs import find_data_of_model, find_trained
        from ..workflows.robustness import run_robustness
        from .runs import open_step
    set_up_logging()
    with open_step(Step.ROBUSTNESS, given, preset) as (run, config):
        trained = find_trained(run, config, model)
        data = find_data_of_model(run, config, trained, data_run)
        table = run_robustness(run, config.robustness, config.evaluate, trained, data)
        click.echo(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
        click.echo(f"open next: {ui_address(run, 'robustness.png')}")
