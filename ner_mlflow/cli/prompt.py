"""Score a language model as a baseline for trained models."""

import click

from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, data_run_option, option, preset_option, setting


@command("prompt")
@setting("base_url", "prompt.base_url")
@setting("model", "prompt.model")
@setting("prompts", "prompt.prompts")
@setting("sentences", "prompt.sentences")
@option(
    "against",
    "none",
    "a trained model to score on the same sentences: a run id, models:/NAME@ALIAS, a folder, or "
    "none",
)
@data_run_option
@setting("split", "evaluate.split")
@setting("seed", "prompt.seed")
@preset_option("minilm_full")
def prompt(against: str, data_run: str, preset: str, given: GivenSettings) -> None:
    """Score a language model as a baseline.

    Sends sentences drawn by a seed to an OpenAI-compatible endpoint with several prompts, locates
    the entities of its answers, and scores them like those of any model.
    """
    with importing():  # `prompt --help` need not wait for MLflow
        from ..tracking.lifecycle import ui_address
        from ..tracking.models import find_model
        from ..workflows.inputs import find_data
        from ..workflows.prompt import run_prompt
        from .runs import open_step
    set_up_logging()
    with open_step(Step.PROMPT, given, preset) as (run, config):
        model = None if against == "none" else find_model(against)
        data = find_data(run, config, data_run)
        table = run_prompt(run, config.prompt, config.evaluate, data, model)
        click.echo(
            table.drop(columns="run").to_string(
                index=False, float_format=lambda value: f"{value:.4g}"
            )
        )
        click.echo(f"open next: {ui_address(run)}")
