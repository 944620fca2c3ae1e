"""Ask a language model for entities, as a baseline to compare trained models with."""

import click

from entrypoints import cli
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.runs import open_run, where_to_look
from ner_mlflow.workflows.inputs import find_data
from ner_mlflow.workflows.prompt import run_prompt
from ner_mlflow.workflows.steps import PROMPT_STEP


@cli.command("prompt")
@cli.setting("base_url", "prompt.base_url")
@cli.setting("model", "prompt.model")
@cli.list_setting("prompts", "prompt.prompts")
@cli.setting("sentences", "prompt.sentences")
@cli.option("against", "none", "a model of ours that is scored on the same sentences: a run id, models:/NAME@ALIAS, a folder, or none")
@cli.data_run_option
@cli.setting("split", "evaluate.split")
@cli.setting("seed", "prompt.seed")
@cli.preset_option
@cli.overrides_option
def prompt(against: str, data_run: str, preset: str, overrides: str, **options: str | list[str]) -> None:
    """Ask any OpenAI-compatible endpoint by several prompts on a seeded subset, locate its answers, score them as any model."""
    cli.set_up_logging()
    with open_run(PROMPT_STEP, "prompt") as run:
        config = cli.resolve(preset, options, overrides)
        model = None if against == "none" else find_model(against)
        table = run_prompt(run, config.prompt, config.evaluate, find_data(run, config, data_run), model)
        click.echo(table.drop(columns="run").to_string(index=False, float_format=lambda value: f"{value:.4g}"))
        click.echo(f"open next: {where_to_look(run)}")


if __name__ == "__main__":
    prompt()
