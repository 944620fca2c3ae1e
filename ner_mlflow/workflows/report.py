"""Put trained models side by side in one report, from the records of their runs."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..config.schema import EvaluateConfig, ExportConfig
from ..data.sentences import VALIDATION, Sentence
from ..evaluation.comparison import ComparedModel, ComparisonReport, ServedFile, compare
from ..evaluation.error_analysis import (
    CATEGORIES,
    category_table,
    match,
    token_confusion,
    worst_sentences,
)
from ..evaluation.pages import Examples
from ..exporting.side_by_side import SideBySide, time_side_by_side
from ..pages import escape_markdown
from ..tagging.iob2 import to_entities
from ..tracking.lifecycle import run_link
from ..tracking.queries import download
from ..tracking.records import EvaluateRecord, ExportRecord, TrainRecord
from ..tracking.run import Run
from ..tracking.shared_view import view_links
from .data import TrackedDataset
from .evaluate import load_predictions, prediction_counts, text_columns

log = logging.getLogger(__name__)

EXAMPLES_SHOWN = 8
"""Sentences of the best model's errors that a report shows."""
PAGE = "comparison"
"""The page of a run that holds the report."""


@dataclass(frozen=True)
class TrainedModel:
    """A trained model by the records of its runs.

    Attributes:
        name: unique among the models of a report.
        evaluate: the evaluation of the PyTorch model.
        export: its export; None if it was not exported.
        served: the evaluation of the file that serves it; None if there is none.
    """

    name: str
    train: TrainRecord
    evaluate: EvaluateRecord
    export: ExportRecord | None = None
    served: EvaluateRecord | None = None


def report_on(
    models: Sequence[TrainedModel],
    data: TrackedDataset,
    config: EvaluateConfig,
    export_config: ExportConfig,
) -> ComparisonReport:
    """Compare trained models. Scores are those of their runs; latencies are measured now, in turns.

    Args:
        models: one or more, evaluated on one split of ``data``.
        data: its validation sentences are timed.
        config: resamples and seed.
        export_config: timed and warm-up runs of latencies.
    """
    types = data.dataset.schema.types
    sentences = [sentence.tokens for sentence in data.dataset.corpus[VALIDATION]]
    latencies = _latencies(models, sentences, export_config)
    split = models[0].evaluate.split
    title = f"{len(models)} model{'s' if len(models) > 1 else ''} on {split} of {data.dataset.name}"
    compared = [_compared_model(model, types, latencies) for model in models]
    return compare(compared, types, title, config.resamples, config.seed, config.confidence_level)


def log_comparison(
    run: Run,
    report: ComparisonReport,
    models: Sequence[TrainedModel],
    conclusion: Sequence[str],
) -> None:
    """Log the report's page, tables, plots and metrics, and describe the run by its conclusion.

    Args:
        run: the open run.
        report: what :func:`report_on` returned.
        models: what it was made from.
        conclusion: the sentences that stand on top.
    """
    for name, table in report.tables.items():
        run.log_table(name, table)
    for name, figure in report.figures.items():
        run.log_figure(name, figure)
    best = next(model for model in models if model.name == report.best.name)
    run.log_page(PAGE, report.html(conclusion, _examples(best)))
    run.log_markdown(PAGE, report.markdown(conclusion))
    run.log_metrics(_metrics(models))
    columns = ["model", "f1", "f1_low", "f1_high", "p_against_best"]
    lead = escape_markdown(" ".join(conclusion))
    run.describe(report.tables["results"][columns], _links(run, best, models), lead)


def _metrics(models: Sequence[TrainedModel]) -> dict[str, float]:
    """Return F1 by model: on validation, and on the split of the evaluation by each file."""
    metrics: dict[str, float] = {}
    for model in models:
        evaluation, served = model.evaluate, model.served
        metrics[f"{model.name}/validation/f1"] = model.train.validation_f1
        metrics[f"{model.name}/{evaluation.split}/f1"] = evaluation.scores["f1"]
        if served:
            metrics[f"{model.name}/served/{served.split}/f1"] = served.scores["f1"]
    return metrics


def _links(run: Run, best: TrainedModel, models: Sequence[TrainedModel]) -> str:
    """Return Markdown with links to the report, and to the runs of each model."""
    evaluation = (best.served or best.evaluate).run_id
    lines = [
        f"[whole report]({run_link(run.experiment_id, run.id, f'{PAGE}.html')}) · "
        + " · ".join(
            f"[{text}]({run_link(run.experiment_id, evaluation, file)})"
            for text, file in (
                (f"errors of {escape_markdown(best.name)}", "errors.html"),
                ("confusions", "entity_confusion.png"),
                ("running text", "texts.html"),
            )
        )
    ]
    for model in models:
        runs = {
            "train": model.train.run_id,
            "evaluate": model.evaluate.run_id,
            "export": model.export.run_id if model.export else "",
            "evaluate the served file": model.served.run_id if model.served else "",
        }
        links = [
            f"[{step}]({run_link(run.experiment_id, run_id)})"
            for step, run_id in runs.items()
            if run_id
        ]
        lines.append(f"{escape_markdown(model.name)}: {' · '.join(links)}")
    lines.append(view_links(run.experiment_id))
    return "\n\n".join(lines)


def _examples(model: TrainedModel) -> Examples | None:
    """Return the sentences with most errors of the file that serves a model, or of the model."""
    frame = load_predictions(model.served or model.evaluate)
    sentences = [
        Sentence(tuple(row["tokens"]), tuple(row["gold"]), row["document"] or None, row["origin"])
        for row in frame.to_dict("records")
    ]
    predicted = [list(tags) for tags in frame["predicted"]]
    outcomes = [
        match(to_entities(sentence.tags), to_entities(tags))
        for sentence, tags in zip(sentences, predicted, strict=True)
    ]
    indices = worst_sentences(sentences, outcomes, EXAMPLES_SHOWN)
    if not indices:
        return None
    file = f" ({model.served.variant})" if model.served else ""
    heading = f"Sentences with the most errors by {model.name}{file}"
    return Examples(heading, [sentences[i] for i in indices], [predicted[i] for i in indices])


def _latencies(
    models: Sequence[TrainedModel], sentences: Sequence[Sequence[str]], config: ExportConfig
) -> SideBySide:
    """Time each variant of each export, by the address of its files."""
    folders: dict[str, Path] = {}
    for model in models:
        for variant in model.export.variants if model.export else ():
            assert model.export is not None
            uri = model.export.variant_uri(variant)
            folders[uri] = download(uri)
    if not folders:
        return SideBySide({})
    return time_side_by_side(folders, sentences, config.latency_runs, config.latency_warmup_runs)


def _compared_model(
    model: TrainedModel, types: Sequence[str], latencies: SideBySide
) -> ComparedModel:
    record, evaluation = model.train, model.evaluate
    metrics, missing = record.metrics, float("nan")
    predictions = load_predictions(evaluation)
    gold, predicted = (predictions[key].tolist() for key in ("gold", "predicted"))
    outcomes = [
        match(to_entities(list(g)), to_entities(list(p)))
        for g, p in zip(gold, predicted, strict=True)
    ]
    total = category_table(outcomes, types).iloc[-1]
    return ComparedModel(
        name=model.name,
        recipe=record.recipe,
        facts={
            "backbone": record.backbone,
            "adaptation": record.adaptation,
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
        categories={name: int(total[name]) for name in CATEGORIES},
        served=_served_file(model),
    )


def _served_file(model: TrainedModel) -> ServedFile | None:
    if model.export is None or not model.export.served_variant:
        return None
    size_mb = model.export.served_metrics["size_bytes"] / 1e6
    if model.served is None:
        return ServedFile(model.export.served_variant, size_mb, {})
    return ServedFile(
        model.export.served_variant,
        size_mb,
        model.served.scores,
        model.evaluate.scores["f1"] - model.served.scores["f1"],
        model.served.text_kind,
        model.served.text_scores,
    )


def _variants(export: ExportRecord, latencies: SideBySide) -> pd.DataFrame:
    reference = next(iter(latencies.p50_ms.values()))
    rows = []
    for variant, metrics in export.variants.items():
        latency_ms = latencies.p50_ms[export.variant_uri(variant)]
        f1_names = ("validation_f1", "validation_f1_low", "validation_f1_high")
        rows.append(
            {
                "variant": variant,
                "served": "*" if variant == export.served_variant else "",
                "size_mb": metrics["size_bytes"] / 1e6,
                **{name: metrics[name] for name in f1_names},
                "latency_p50_ms": latency_ms,
                "latency_ratio": latency_ms / reference,
                "other_load": latencies.other_load,
            }
        )
    return pd.DataFrame(rows)
