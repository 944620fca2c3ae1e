"""Ask a language model for entities, as a baseline to compare trained models with."""

import click

from ..tracking.lifecycle import open_run, ui_address
from ..tracking.models import find_model
from ..tracking.steps import Step
from ..workflows.inputs import find_data
from ..workflows.prompt import run_prompt
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


@command("prompt")
@setting("base_url", "prompt.base_url")
@setting("model", "prompt.model")
@list_setting("prompts", "prompt.prompts")
@setting("sentences", "prompt.sentences")
@option(
    "against",
    "none",
    "a model of ours that is scored on the same sentences: a run id, models:/NAME@ALIAS, a folder, or none",
)
@data_run_option
@setting("split", "evaluate.split")
@setting("seed", "prompt.seed")
@preset_option
@overrides_option
def prompt(
    against: str, data_run: str, preset: str, overrides: str, **options: str | list[str]
) -> None:
    """Ask any OpenAI-compatible endpoint by several prompts on a seeded subset, locate its answers, score them as any model."""
    set_up_logging()
    with open_run(Step.PROMPT, "prompt") as run:
        config = resolve(preset, options, overrides)
        model = None if against == "none" else find_model(against)
        table = run_prompt(
            run, config.prompt, config.evaluate, find_data(run, config, data_run), model
        )
        click.echo(
            table.drop(columns="run").to_string(
                index=False, float_format=lambda value: f"{value:.4g}"
            )
        )
        click.echo(f"open next: {ui_address(run)}")
