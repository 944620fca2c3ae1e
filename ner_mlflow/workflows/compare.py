"""The `compare` step: trained models of the tracking store side by side; what is not tracked is not in the report."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from ..config.schema import EvaluateConfig
from ..errors import TrackingError
from ..evaluation.comparison import ComparedModel, ComparisonReport, compare
from ..evaluation.counts import entity_counts
from ..evaluation.error_analysis import token_confusion
from ..tracking.models import MODEL_URI_TAG
from ..tracking.runs import Run, RunRecord, finished_runs
from .data import load_data
from .evaluate import read_predictions
from .steps import EVALUATE_STEP, EXPORT_STEP, TRAIN_STEP

log = logging.getLogger(__name__)

ALL = "all"
SEED = "train.seed"


def run_compare(run: Run, config: EvaluateConfig, runs: Sequence[str]) -> ComparisonReport:
    """Compare train runs by their evaluations on one dataset, in an open run.

    Args:
        run: receives tables, figures, ``comparison.html`` and ``comparison.md``.
        config: the split whose scores are compared, resamples and seed.
        runs: ids of train runs; ``all`` stands for those of the run's experiment that were evaluated on the dataset that most of them
            were evaluated on, of several the one of the latest evaluation.

    Raises:
        TrackingError: no such runs, a named one was not evaluated on this split, or they were evaluated on different datasets.
    """
    everything = list(runs) == [ALL]
    trained = finished_runs(TRAIN_STEP, run.experiment_id, None if everything else runs)
    evaluations = [
        found
        for found in finished_runs(EVALUATE_STEP, run.experiment_id)
        if found.params.get("evaluate.split") == config.split
    ]
    by_model: dict[str, dict[str, RunRecord]] = {}  # of each model, by dataset, the latest
    for found in reversed(evaluations):
        if "model" in found.tags:
            by_model.setdefault(found.tags["model"], {})[found.tags["dataset_fingerprint"]] = found
    chosen = [
        (one, by_model[one.tags[MODEL_URI_TAG]])
        for one in trained
        if one.tags.get(MODEL_URI_TAG) in by_model
    ]
    if not everything and len(chosen) < len(trained):
        missing = [one.id for one in trained if one.id not in {kept.id for kept, _ in chosen}]
        raise TrackingError(
            f"train runs {', '.join(missing)} have no evaluation on {config.split}: run evaluate on them first"
        )
    if not chosen:
        raise TrackingError(
            f"no finished train run of experiment {run.experiment_id} was evaluated on {config.split}: run train and evaluate, or main, first"
        )
    # Of the datasets on which most of them were evaluated, the one of the latest evaluation.
    spread = Counter(fingerprint for _, of_model in chosen for fingerprint in of_model)
    newest = max(
        (found for _, of_model in chosen for found in of_model.values()),
        key=lambda found: (spread[found.tags["dataset_fingerprint"]], found.started),
    )
    fingerprint = newest.tags["dataset_fingerprint"]
    others = [one.id for one, of_model in chosen if fingerprint not in of_model]
    if others and not everything:
        raise TrackingError(
            f"train runs {', '.join(others)} were evaluated on another dataset than {newest.tags['model']}: evaluate all on one data_run"
        )
    if others:
        log.warning("left out, evaluated on another dataset: %s", ", ".join(others))
    kept = [(one, of_model[fingerprint]) for one, of_model in chosen if fingerprint in of_model]
    types = load_data(newest.tags["data_run"]).dataset.schema.types
    exports = {
        found.tags["model"]: found
        for found in reversed(finished_runs(EXPORT_STEP, run.experiment_id))
        if "model" in found.tags
    }
    names = _names([one for one, _ in kept])
    models = [
        _compared_model(
            names[one.id], one, found, exports.get(one.tags[MODEL_URI_TAG]), config.split, types
        )
        for one, found in kept
    ]
    run.log_config(evaluate=config)
    run.set_tags(
        {
            "dataset": newest.tags["dataset"],
            "dataset_fingerprint": fingerprint,
            "compared_runs": ",".join(one.id for one, _ in kept),
        }
    )
    title = f"{len(models)} models on {config.split} of {newest.tags['dataset']}"
    report = compare(models, types, title, config.resamples, config.seed)
    for name, table in report.tables.items():
        run.log_table(name, table)
    for name, figure in report.figures.items():
        run.log_figure(name, figure)
    run.log_page("comparison", report.html)
    run.log_markdown("comparison", report.markdown)
    run.describe(report.tables["results"])
    return report


def _names(trained: Sequence[RunRecord]) -> dict[str, str]:
    """A name for each run: its preset, with the seed and then the id where that is not enough to tell runs apart."""
    names = {one.id: one.tags.get("preset") or one.name for one in trained}
    for suffixes in (
        {one.id: f" seed {one.params.get(SEED)}" for one in trained},
        {one.id: f" {one.id[:6]}" for one in trained},
    ):
        taken = Counter(names.values())
        names = {
            run_id: name + suffixes[run_id] * (taken[name] > 1) for run_id, name in names.items()
        }
    return names


def _compared_model(
    name: str,
    trained: RunRecord,
    evaluated: RunRecord,
    exported: RunRecord | None,
    split: str,
    types: Sequence[str],
) -> ComparedModel:
    predictions = read_predictions(evaluated.id)
    gold, predicted = predictions["gold"].tolist(), predictions["predicted"].tolist()
    recipe = {
        key: value
        for key, value in trained.params.items()
        if key.startswith(("model.", "train.", "distill.")) and key != SEED
    }
    metrics = trained.metrics
    return ComparedModel(
        name=name,
        recipe=json.dumps(recipe, sort_keys=True),
        facts={
            "backbone": trained.tags.get("backbone", ""),
            "adaptation": trained.params.get("model.adaptation", ""),
            "parameters_millions": metrics.get("parameters/total", float("nan")) / 1e6,
            "trained_millions": metrics.get("parameters/trainable", float("nan")) / 1e6,
            "train_minutes": metrics.get("train/seconds", float("nan")) / 60,
            "validation_f1": metrics.get("best_validation/f1", float("nan")),
        },
        scores={
            key.removeprefix(f"{split}/"): value
            for key, value in evaluated.metrics.items()
            if key.startswith(f"{split}/")
        },
        counts=entity_counts(gold, predicted, types),
        confusion=token_confusion(gold, predicted, types),
        variants=_variants(exported.metrics) if exported else pd.DataFrame(),
    )


def _variants(metrics: Mapping[str, float]) -> pd.DataFrame:
    names = [key.partition("/")[0] for key in metrics if key.endswith("/validation_f1")]
    places = sorted({key.split("/")[2] for key in metrics if "/latency/length_" in key})
    return pd.DataFrame(
        [
            {
                "variant": name,
                "size_mb": metrics[f"{name}/size_bytes"] / 1e6,
                **{
                    score: metrics[f"{name}/{score}"]
                    for score in ("validation_f1", "validation_f1_low", "validation_f1_high")
                },
                "latency_p50_ms": metrics[f"{name}/latency/real/p50_ms"],
                "latency_p95_ms": metrics[f"{name}/latency/real/p95_ms"],
                **{
                    f"latency_{place}_p50_ms": metrics[f"{name}/latency/{place}/p50_ms"]
                    for place in places
                },
            }
            for name in names
        ]
    )
