"""Export a model to ONNX and register the variant to serve."""

import click

from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, data_run_option, option, preset_option


@command("export")
@option(
    "model",
    "latest",
    "a run id, runs:/ID, models:/NAME@ALIAS, a folder, or latest (trained if there is none)",
)
@data_run_option
@option("registered_model", "it-ner", "name in the model registry; empty: register nothing")
@option("alias", "candidate", "alias of the new version; empty: none")
@option(
    "hub_folder",
    "",
    "new folder to write the served model and its card to, as a hub repository; empty: none",
)
@option(
    "push",
    "",
    "hub repository, OWNER/NAME, to upload the served model and its card to; it is created as "
    "private, with the token of HF_TOKEN; empty: none",
)
@preset_option("minilm_full")
def export(
    model: str,
    data_run: str,
    registered_model: str,
    alias: str,
    hub_folder: str,
    push: str,
    preset: str,
    given: GivenSettings,
) -> None:
    """Export a model to ONNX.

    Writes the variants of export.variants, proves each against PyTorch on validation, measures
    size and latency, and registers the variant to serve.
    """
    with importing():  # `export --help` need not wait for MLflow
        from ..exporting.hub_folder import check_hub_folder
        from ..tracking.lifecycle import ui_address
        from ..tracking.registration import check_registered_name
        from ..tracking.registry import check_not_promoted_alias
        from ..workflows.inputs import find_data_of_model, find_trained
        from .runs import open_step
    set_up_logging()
    with open_step(Step.EXPORT, given, preset) as (run, config):
        with importing():  # nor settings that are refused for PyTorch
            from ..exporting.variants import check_engines
            from ..workflows.export import run_export
            from ..workflows.register import (
                evaluate_served,
                register_served,
                warn_of_loss,
                write_to_hub,
            )
        check_engines(config.export)  # here, since the model may have to be trained first
        check_hub_folder(hub_folder, push)
        if registered_model:
            check_registered_name(registered_model, alias)
            check_not_promoted_alias(registered_model, alias)
        trained = find_trained(run, config, model)
        data = find_data_of_model(run, config, trained, data_run)
        exported = run_export(run, config.export, trained, data)
        click.echo(f"exported {exported.model_uri} ({exported.served_variant}) in run {run.id}")
        if registered_model or hub_folder or push:
            served = evaluate_served(run, exported, config.evaluate, data)
        if registered_model:
            version = register_served(
                run, exported, served, data, registered_model, alias or None, config
            )
            click.echo(
                f"registered models:/{registered_model}/{version}"
                + (f", models:/{registered_model}@{alias}" if alias else "")
                if version
                else "not registered yet: the tracking store does not take it at present"
            )
        elif hub_folder or push:  # a registration warns itself
            warn_of_loss(exported, config)
        if hub_folder or push:
            written = write_to_hub(run, exported, served, data, config, hub_folder, push)
            click.echo(f"written for a hub: {written}")
        click.echo(f"open next: {ui_address(run)}")
