"""The main job: from a corpus to a registered model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ..config.loading import preset_name
from ..config.schema import Config
from ..errors import ConfigError
from ..start_up import importing
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, option, setting, source_options, split_list, weak_options

if TYPE_CHECKING:
    from ..workflows.main import MainResult

COLUMNS = ("model", "validation_f1", "f1", "f1_low", "f1_high", "p_against_best")
"""Columns of the results that are printed."""


@command("main")
@option("presets", "minilm_full,minilm_lora", "comma-separated presets to train and compare")
@source_options
@weak_options
@setting("epochs", "train.epochs")
@setting("seed", "train.seed")
@option("registered_model", "it-ner", "name of the best model in the model registry")
@option(
    "alias",
    "champion",
    "alias of the best model; a version that has it keeps it unless it may be replaced, as in "
    "promote",
)
def main(presets: str, registered_model: str, alias: str, given: GivenSettings) -> None:
    """Run all steps from a corpus to a registered model.

    Prepares data; trains, evaluates and exports each preset; compares them and registers the best
    by validation F1. Steps that did not change are reused.
    """
    names = split_list(presets, "presets")
    with importing():  # `main --help` need not wait for MLflow
        from ..tracking.lifecycle import ui_address
        from .runs import open_step
    set_up_logging()
    with open_step(Step.MAIN, given, names[0]) as (run, first):
        configs = _configs(names, first, given)
        with importing():  # nor settings that are refused for PyTorch
            from ..workflows.main import run_main
            from ..workflows.report import PAGE
        result = run_main(run, configs, registered_model, alias)
        click.echo(f"\n{_results(result)}\n")
        click.echo(f"{' '.join(result.conclusion)}\n")
        click.echo(f"open next: {ui_address(run, f'{PAGE}.html')}")


def _results(result: "MainResult") -> str:
    """Return the scores of all models as a text."""
    split = result.best.served.split
    scores = [name for name in COLUMNS if name.startswith("f1")]
    table = result.report.tables["results"][[*COLUMNS]]
    table = table.rename(columns={name: f"{split}_{name}" for name in scores})
    return str(table.to_string(index=False, na_rep="–", float_format="{:.4f}".format))


def _configs(presets: Sequence[str], first: Config, given: GivenSettings) -> dict[str, Config]:
    """Return the configuration of each preset by its name; that of the first is given.

    Raises:
        ConfigError: a preset cannot be used, or two presets have the same name.
    """
    configs = {preset_name(presets[0]): first}
    configs |= {preset_name(preset): given.resolve(preset) for preset in presets[1:]}
    if len(configs) < len(presets):
        raise ConfigError(f"presets {', '.join(presets)}: two have the same name: rename a file")
    return configs
