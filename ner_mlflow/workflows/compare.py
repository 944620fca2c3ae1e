"""The `compare` step: put tracked models side by side in one report."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..config.schema import EvaluateConfig, ExportConfig
from ..errors import TrackingError
from ..evaluation.comparison import ComparisonReport
from ..evaluation.conclusion import conclude
from ..tracking.queries import RunSummary, finished_runs
from ..tracking.records import (
    CompareRecord,
    EvaluateRecord,
    ExportRecord,
    TrainRecord,
    seed_text,
)
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import load_data
from .report import TrainedModel, log_comparison, report_on

log = logging.getLogger(__name__)

ALL = "all"


@dataclass(frozen=True)
class Comparison:
    """A report, and the sentences that say what it comes to."""

    report: ComparisonReport
    conclusion: tuple[str, ...]


@dataclass(frozen=True)
class _Trained:
    """A train run, and its export; the evaluations on the split that is compared, by dataset.

    ``evaluations`` are those of the PyTorch model, ``served`` those of the exported one.
    """

    run: RunSummary
    record: TrainRecord
    evaluations: Mapping[str, EvaluateRecord]
    export: ExportRecord | None
    served: Mapping[str, EvaluateRecord]


def run_compare(
    run: Run, config: EvaluateConfig, export_config: ExportConfig, runs: Sequence[str]
) -> Comparison:
    """Compare train runs by their evaluations on one dataset, in an open run.

    Scores come from the tracking store. Latencies of exported files are measured now, in turns.

    Args:
        run: receives tables, figures, ``comparison.html`` and ``comparison.md``.
        config: the split whose scores are compared, resamples and seed.
        export_config: timed and warm-up runs of latencies.
        runs: ids of train runs. ``all`` stands for the evaluated ones of the run's experiment: of
            their datasets the one that most of them were evaluated on, the latest among equals.

    Raises:
        TrackingError: there are no such runs, a named one has no evaluation on this split, or they
            were evaluated on different datasets.
    """
    everything = list(runs) == [ALL]
    split = config.split
    trained = _evaluated_runs(run, split, None if everything else runs)
    fingerprint, latest = _common_dataset(trained)
    others = [model.record.run_id for model in trained if fingerprint not in model.evaluations]
    if others and not everything:
        raise TrackingError(
            f"train runs {', '.join(others)} were evaluated on another dataset than "
            f"{latest.model}: evaluate all on one data_run"
        )
    if others:
        log.warning("left out, evaluated on another dataset: %s", ", ".join(others))
    trained = [model for model in trained if fingerprint in model.evaluations]
    data = load_data(latest.data_run)
    names = _names([model.run for model in trained])
    models = [
        TrainedModel(
            names[model.record.run_id],
            model.record,
            model.evaluations[fingerprint],
            model.export,
            model.served.get(fingerprint),
        )
        for model in trained
    ]
    run.log_config({"evaluate": config})
    CompareRecord(
        run_id=run.id,
        dataset=latest.dataset,
        dataset_fingerprint=fingerprint,
        compared_runs=",".join(model.record.run_id for model in trained),
    ).write(run)
    run.set_name(Step.COMPARE, latest.dataset, f"{len(models)} models")
    report = report_on(models, data, config, export_config)
    conclusion = conclude(report, split)
    log_comparison(run, report, models, conclusion)
    return Comparison(report, conclusion)


def _evaluated_runs(run: Run, split: str, ids: Sequence[str] | None) -> list[_Trained]:
    """Return train runs with an evaluation on a split, the latest of each model and dataset."""
    evaluations: dict[str, dict[str, EvaluateRecord]] = {}
    for summary in reversed(finished_runs(Step.EVALUATE, run.experiment_id)):
        if "model" not in summary.tags:  # an evaluation of several models, with runs below it
            continue
        evaluation = EvaluateRecord.from_run(summary)
        if evaluation.split == split:
            of_model = evaluations.setdefault(evaluation.model, {})
            of_model[evaluation.dataset_fingerprint] = evaluation
    exports: dict[str, ExportRecord] = {}
    for summary in reversed(finished_runs(Step.EXPORT, run.experiment_id)):
        exported = ExportRecord.from_run(summary)
        exports[exported.model] = exported
    trained, missing = [], []
    for summary in finished_runs(Step.TRAIN, run.experiment_id, ids):
        record = TrainRecord.from_run(summary)
        if record.model_uri in evaluations:
            uri = record.model_uri
            export = exports.get(uri)
            served = evaluations.get(export.model_uri, {}) if export else {}
            trained.append(_Trained(summary, record, evaluations[uri], export, served))
        else:
            missing.append(summary.id)
    if missing and ids is not None:
        raise TrackingError(
            f"train runs {', '.join(missing)} have no evaluation on {split}: "
            "run evaluate on them first"
        )
    if not trained:
        raise TrackingError(
            f"no finished train run of experiment {run.experiment_id} was evaluated on {split}: "
            "run train and evaluate, or main, first"
        )
    return trained


def _common_dataset(trained: Sequence[_Trained]) -> tuple[str, EvaluateRecord]:
    """Return the fingerprint that most models were evaluated on and the latest such evaluation."""
    models = Counter(fingerprint for model in trained for fingerprint in model.evaluations)
    # Runs come the latest first, so that the first of equals is the latest.
    fingerprint = max(models, key=lambda candidate: models[candidate])
    record = next(
        model.evaluations[fingerprint] for model in trained if fingerprint in model.evaluations
    )
    return fingerprint, record


def _names(runs: Sequence[RunSummary]) -> dict[str, str]:
    """Return a name for each run: its preset, then the seed, then the id, as far as needed."""
    names = {run.id: run.tags.get("preset") or run.name for run in runs}
    seeds = {run.id: f" {seed_text(run.tags.get('seed', ''))}" for run in runs}
    ids = {run.id: f" {run.id[:6]}" for run in runs}
    for suffixes in (seeds, ids):
        taken = Counter(names.values())
        names = {
            run_id: name + suffixes[run_id] * (taken[name] > 1) for run_id, name in names.items()
        }
    return names
