"""Export a model to ONNX, prove and time it, register the one to serve."""

import click

from ..tracking.lifecycle import open_run, ui_address
from ..tracking.models import check_registered_name
from ..tracking.registry import check_not_judged
from ..tracking.steps import Step
from ..workflows.export import register_export, run_export
from ..workflows.inputs import find_data_of_model, find_trained
from .options import (
    command,
    data_run_option,
    option,
    overrides_option,
    preset_option,
    resolve,
    set_up_logging,
)


@command("export")
@option(
    "model",
    "latest",
    "a run id, runs:/ID, models:/NAME@ALIAS, a folder, or latest (trained when there is none)",
)
@data_run_option
@option("registered_model", "it-ner", "name in the model registry; empty: register nothing")
@option("alias", "candidate", "alias that the new version gets; empty: none")
@preset_option
@overrides_option
def export(
    model: str, data_run: str, registered_model: str, alias: str, preset: str, overrides: str
) -> None:
    """Write the ONNX files that export.variants names, prove each on validation, register the one to serve."""
    set_up_logging()
    with open_run(Step.EXPORT, f"export {model}") as run:
        config = resolve(preset, {}, overrides)
        if registered_model:
            check_registered_name(registered_model, alias)
            check_not_judged(registered_model, alias)
        found = find_trained(run, config, model)
        exported = run_export(
            run, config.export, found, find_data_of_model(run, config, found, data_run)
        )
        click.echo(f"exported {exported.model_uri} ({exported.served_variant}) in run {run.id}")
        if registered_model:
            version = register_export(exported, registered_model, alias or None)
            click.echo(
                f"registered models:/{registered_model}/{version}"
                + (f", models:/{registered_model}@{alias}" if alias else "")
            )
        click.echo(f"open next: {ui_address(run)}")
