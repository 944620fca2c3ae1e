"""The main job: prepare, train, evaluate and export each preset, compare, register the best."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from ..config.schema import Config
from ..evaluation.comparison import ComparisonReport
from ..evaluation.conclusion import Registration, conclude
from ..exporting.variants import check_engines
from ..tracking.lifecycle import open_child
from ..tracking.records import MainRecord
from ..tracking.registration import check_registered_name
from ..tracking.registry import alias_holder
from ..tracking.remote import StoreAwayError
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset
from .pipeline import Pipeline, PresetResult, best_result
from .promote import try_promote
from .register import register_served
from .report import log_comparison, report_on
from .train import find_inputs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MainResult:
    """The result of the main job.

    ``report`` compares the presets, and ``conclusion`` says in sentences what it comes to.
    """

    report: ComparisonReport
    conclusion: tuple[str, ...]
    best: PresetResult
    registration: Registration


def run_main(
    run: Run,
    configs: Mapping[str, Config],
    registered_model: str,
    alias: str,
) -> MainResult:
    """Run all steps for each preset below an open run; steps that did not change are reused.

    Args:
        run: the open run.
        configs: the configuration of each preset, by its name; one or more.
        registered_model: the name of the best model in the registry.
        alias: the alias of its version.

    Raises:
        TrackingError: the registry does not take the name or the alias.
        ModelError: an engine, a backbone or a teacher cannot be used.
    """
    check_registered_name(registered_model, alias)
    # Found first: a missing engine, backbone or teacher is reported before any training.
    for config in configs.values():
        check_engines(config.export)
    inputs = {name: find_inputs(config) for name, config in configs.items()}
    run.log_config(configs)
    results = []
    for number, (name, config) in enumerate(configs.items(), start=1):
        log.info("— preset %d of %d: %s —", number, len(configs), name)
        pipeline = Pipeline(run, name)
        data = pipeline.prepare(config)
        train = pipeline.train(config, data, inputs[name])
        results.append(pipeline.evaluate_and_export(config, train, data))
    best = best_result(results)
    config = configs[best.name]
    run.set_name(Step.MAIN, data.dataset.name, ", ".join(configs))
    report = report_on(results, data, config.evaluate, config.export)
    registration = _register(run, best, data, registered_model, alias, config)
    split = best.served.split
    conclusion = conclude(report, split, registration)
    log_comparison(run, report, results, conclusion)
    kind = best.served.text_kind
    run.log_metrics(
        {
            "best_validation/f1": best.train.validation_f1,
            f"{split}/f1": best.served.scores["f1"],
            f"{kind}/f1": best.served.text_scores["f1"],
        }
    )
    MainRecord(
        run_id=run.id,
        dataset=data.dataset.name,
        dataset_fingerprint=data.dataset.fingerprint,
        best_preset=best.name,
        best_train_run=best.train.run_id,
        registered_version=registration.address,
    ).write(run)
    return MainResult(report, conclusion, best, registration)


def _register(
    run: Run,
    best: PresetResult,
    data: TrackedDataset,
    name: str,
    alias: str,
    config: Config,
) -> Registration:
    version = register_served(
        run, best.export, best.served, data, name, None, config, first_alias=alias
    )
    if version is None:
        return Registration("", alias, False, "the tracking store does not take it at present")
    try:
        has_alias, reason = _promote(run, config, name, version, alias)
    except StoreAwayError:
        has_alias, reason = False, "the registry does not answer: run promote later"
    return Registration(f"models:/{name}/{version}", alias, has_alias, reason)


def _promote(run: Run, config: Config, name: str, version: str, alias: str) -> tuple[bool, str]:
    """Give a version the alias if no version has it, or if it may replace the one that has it.

    Returns:
        Whether it has the alias, and the reason.
    """
    holder = alias_holder(name, alias)
    if holder and holder.version == version:
        return True, "it was registered by an earlier run"
    with open_child(run, Step.PROMOTE, Step.PROMOTE) as child:
        return try_promote(child, config, name, version, alias)
