"""The `compare` step: put tracked models side by side in one report."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..config.schema import EvaluateConfig, ExportConfig
from ..data.sentences import VALIDATION
from ..errors import TrackingError
from ..evaluation.comparison import ComparedModel, ComparisonReport, compare
from ..evaluation.error_analysis import token_confusion
from ..exporting.side_by_side import time_side_by_side
from ..tracking.queries import RunSummary, download, finished_runs
from ..tracking.records import CompareRecord, EvaluateRecord, ExportRecord, TrainRecord
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import load_data
from .evaluate import load_predictions, prediction_counts, text_columns

log = logging.getLogger(__name__)

ALL = "all"
SEED = "train.seed"
RECIPE_SECTIONS = ("model.", "train.", "distill.")
"""Sections of settings that make a recipe; models of one recipe differ in their seed alone."""


@dataclass(frozen=True)
class _Trained:
    """A train run, its evaluations on the split that is compared by dataset, and its export."""

    run: RunSummary
    record: TrainRecord
    evaluations: Mapping[str, EvaluateRecord]
    export: ExportRecord | None


def run_compare(
    run: Run, config: EvaluateConfig, export_config: ExportConfig, runs: Sequence[str]
) -> ComparisonReport:
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
    types = data.dataset.schema.types
    names = _names([model.run for model in trained])
    sentences = [sentence.tokens for sentence in data.dataset.corpus[VALIDATION]]
    latencies = _latencies(trained, sentences, export_config)
    models = [
        _compared_model(names[model.record.run_id], model, fingerprint, types, latencies)
        for model in trained
    ]
    run.log_config(evaluate=config)
    CompareRecord(
        run_id=run.id,
        dataset=latest.dataset,
        dataset_fingerprint=fingerprint,
        compared_runs=",".join(model.record.run_id for model in trained),
    ).write(run)
    title = f"{len(models)} models on {split} of {latest.dataset}"
    report = compare(models, types, title, config.resamples, config.seed)
    for name, table in report.tables.items():
        run.log_table(name, table)
    for name, figure in report.figures.items():
        run.log_figure(name, figure)
    run.log_page("comparison", report.html)
    run.log_markdown("comparison", report.markdown)
    run.describe(report.tables["results"])
    return report


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
        export = ExportRecord.from_run(summary)
        exports[export.model] = export
    trained, missing = [], []
    for summary in finished_runs(Step.TRAIN, run.experiment_id, ids):
        record = TrainRecord.from_run(summary)
        if record.model_uri in evaluations:
            uri = record.model_uri
            trained.append(_Trained(summary, record, evaluations[uri], exports.get(uri)))
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
    seeds = {run.id: f" seed {run.params.get(SEED)}" for run in runs}
    ids = {run.id: f" {run.id[:6]}" for run in runs}
    for suffixes in (seeds, ids):
        taken = Counter(names.values())
        names = {
            run_id: name + suffixes[run_id] * (taken[name] > 1) for run_id, name in names.items()
        }
    return names


def _latencies(
    trained: Sequence[_Trained], sentences: Sequence[Sequence[str]], config: ExportConfig
) -> dict[str, float]:
    """Return the latency of each variant of each export, by the address of its files."""
    folders: dict[str, Path] = {}
    for model in trained:
        for variant in model.export.variants if model.export else ():
            assert model.export is not None
            uri = model.export.variant_uri(variant)
            folders[uri] = download(uri)
    if not folders:
        return {}
    return time_side_by_side(folders, sentences, config.latency_runs, config.latency_warmup_runs)


def _compared_model(
    name: str,
    model: _Trained,
    fingerprint: str,
    types: Sequence[str],
    latencies: Mapping[str, float],
) -> ComparedModel:
    params, metrics = model.run.params, model.record.metrics
    evaluation = model.evaluations[fingerprint]
    predictions = load_predictions(evaluation)
    gold, predicted = (predictions[key].tolist() for key in ("gold", "predicted"))
    recipe = {
        key: value
        for key, value in params.items()
        if key.startswith(RECIPE_SECTIONS) and key != SEED
    }
    missing = float("nan")
    return ComparedModel(
        name=name,
        recipe=json.dumps(recipe, sort_keys=True),
        facts={
            "backbone": model.record.backbone,
            "adaptation": params.get("model.adaptation", ""),
            "parameters_millions": metrics.get("parameters/total", missing) / 1e6,
            "trained_millions": metrics.get("parameters/trainable", missing) / 1e6,
            "train_minutes": metrics.get("train/seconds", missing) / 60,
            "validation_f1": metrics.get("best_validation/f1", missing),
        },
        scores=evaluation.scores,
        text_scores=text_columns(evaluation),
        counts=prediction_counts(predictions, types),
        confusion=token_confusion(gold, predicted, types),
        variants=_variants(model.export, latencies) if model.export else pd.DataFrame(),
    )


def _variants(export: ExportRecord, latencies: Mapping[str, float]) -> pd.DataFrame:
    reference = next(iter(latencies.values()))
    rows = []
    for variant, metrics in export.variants.items():
        latency_ms = latencies[export.variant_uri(variant)]
        f1_names = ("validation_f1", "validation_f1_low", "validation_f1_high")
        rows.append(
            {
                "variant": variant,
                "size_mb": metrics["size_bytes"] / 1e6,
                **{name: metrics[name] for name in f1_names},
                "latency_p50_ms": latency_ms,
                "latency_ratio": latency_ms / reference,
            }
        )
    return pd.DataFrame(rows)
