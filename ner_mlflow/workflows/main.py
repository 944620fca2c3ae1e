"""The main job: prepare, train, evaluate and export each preset, compare, register the best."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..config.loading import load_config, preset_name
from ..config.schema import Config
from ..errors import ConfigError
from ..tracking.lifecycle import open_child
from ..tracking.models import check_registered_name
from ..tracking.records import MainRecord
from ..tracking.registry import alias_holder
from ..tracking.run import Run
from ..tracking.steps import Step
from .pipeline import Pipeline, PresetResult, best_result, compare_results, register_result
from .promote import try_promote
from .train import find_inputs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MainResult:
    """The result of the main job.

    ``table`` has one row a preset and ``note`` explains its latencies; ``version`` is that of the
    registered model. ``not_promoted`` is the reason why it did not get the alias, empty if it did.
    """

    table: pd.DataFrame
    note: str
    best: PresetResult
    version: str
    not_promoted: str


def run_main(
    run: Run,
    presets: Sequence[str],
    overrides: Mapping[str, Any],
    registered_model: str,
    alias: str,
) -> MainResult:
    """Run all steps for each preset below an open run; steps that did not change are reused.

    Raises:
        ConfigError: a preset cannot be used, or two presets have the same name.
    """
    check_registered_name(registered_model, alias)
    configs = {preset_name(preset): load_config(preset, overrides) for preset in presets}
    if len(configs) < len(presets):
        raise ConfigError(f"presets {', '.join(presets)}: two have the same name: rename a file")
    # Found first: a missing backbone or teacher is reported before any training.
    inputs = {name: find_inputs(config) for name, config in configs.items()}
    run.log_config(**configs)
    results = []
    for number, (name, config) in enumerate(configs.items(), start=1):
        log.info("— preset %d of %d: %s —", number, len(configs), name)
        pipeline = Pipeline(run, name)
        data = pipeline.prepare(config)
        train = pipeline.train(config, data, inputs[name])
        results.append(pipeline.evaluate_and_export(config, train, data))
    best = best_result(results)
    config = configs[best.name]
    comparison = compare_results(results, data, config.export)
    run.log_table("comparison", comparison.table)
    run.describe(comparison.table.drop(columns=["train_run"]), comparison.note)
    scores = {**best.train.metrics, **best.evaluate.metrics}
    prefixes = ("best_validation/", f"{best.evaluate.split}/", f"{best.evaluate.text_kind}/")
    run.log_metrics(
        {
            name: value
            for name, value in scores.items()
            if name.startswith(prefixes) and name.endswith("/f1")
        }
    )
    version = register_result(best, registered_model, None, config.export)
    not_promoted = _promote(run, config, registered_model, version, alias)
    MainRecord(
        run_id=run.id,
        best_preset=best.name,
        best_train_run=best.train.run_id,
        registered_version=f"models:/{registered_model}/{version}",
    ).write(run)
    return MainResult(comparison.table, comparison.note, best, version, not_promoted)


def _promote(run: Run, config: Config, name: str, version: str, alias: str) -> str:
    """Give a version the alias if no version has it, or if it may replace the one that has it.

    Returns:
        The reason why it did not get the alias, empty if it has it.
    """
    holder = alias_holder(name, alias)
    if holder and holder.version == version:
        return ""
    with open_child(run, Step.PROMOTE, f"promote {name}/{version}") as child:
        return try_promote(child, config, name, version, alias)
