"""The `evaluate` step: score one model or several and log scores, errors and differences."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config.schema import EvaluateConfig
from ..data.running_text import KIND_NAMES, STANDIN, running_texts
from ..data.sentences import TEST
from ..errors import DataError
from ..evaluation.comparison import SIGNIFICANCE_LEVEL, pairwise_differences
from ..evaluation.counts import entity_counts
from ..evaluation.plots import plot_differences
from ..evaluation.report import EvalReport, evaluate
from ..evaluation.scores import predict, score_table
from ..evaluation.text_answers import TextAnswer, answer_frame, answer_texts, answers_of_frame
from ..evaluation.text_errors import find_text_errors, text_error_table
from ..evaluation.text_page import render_text_page
from ..evaluation.text_scores import TEXT_SCORE_COLUMNS, score_texts
from ..modeling.loading import open_tagger
from ..pages import escape_markdown
from ..provenance import cache_key, library_versions, step_fingerprint
from ..tagging.recognizer import EntityRecognizer
from ..tagging.tagger import Tagger
from ..tracking.lifecycle import open_child, page_links
from ..tracking.models import FoundModel
from ..tracking.queries import download, reusable_run
from ..tracking.records import EvaluateRecord, seed_text
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset

log = logging.getLogger(__name__)

PREDICTIONS = "predictions"
"""The artifact of an evaluate run that holds its predictions, without its suffix."""
TEXTS = "texts"
"""The artifact of an evaluate run that holds its answers to running texts, without its suffix."""
F1_LOST = "served/f1_lost"
"""The metric of an evaluate run: F1 on given words minus F1 in running text."""
SHOWN_SCORES = ("f1", "f1_low", "f1_high", "precision", "recall", "calibration_error")
PAGES = {
    "errors": "errors.html",
    "confusions": "entity_confusion.png",
    "running text": "texts.html",
    "calibration": "calibration.png",
    "slices": "slices.png",
}
"""What the description of an evaluate run links to."""


@dataclass(frozen=True)
class Evaluation:
    """The record of an evaluation, its predictions on given words and its answers to texts.

    ``predictions`` has one row a sentence, with the columns ``tokens``, ``gold``, ``predicted`` and
    ``probabilities``, each a list.
    """

    record: EvaluateRecord
    predictions: pd.DataFrame
    answers: Sequence[TextAnswer]


def run_evaluate(
    run: Run, config: EvaluateConfig, model: FoundModel, data: TrackedDataset
) -> Evaluation:
    """Score a model in an open run, on given words and in running text.

    Metrics of given words begin with the split, those of running text with ``raw`` where the split
    has raw texts, else with ``standin``: its words joined to texts.

    Raises:
        DataError: the dataset has other entity types than the model.
    """
    dataset, split = data.dataset, config.split
    run.log_config({"evaluate": config})
    lineage = model.lineage
    step = Step.EVALUATE if split == TEST else f"{Step.EVALUATE} {split}"
    run.set_name(lineage.label, step, dataset.name, seed_text(lineage.seed))
    record = EvaluateRecord(
        run_id=run.id,
        model=model.address,
        split=split,
        variant=lineage.variant,
        train_run=lineage.train_run,
        **data.fields,
        **lineage.fields,
    )
    record.write(run)
    tagger = open_tagger(model.folder, config.batch_subwords)
    check_schema(tagger, data)
    sentences = dataset.corpus[split]
    run.log_dataset(dataset, (split,), data.run_id)
    log.info("tagging %d sentences of %s", len(sentences), split)
    predicted = predict(tagger, sentences)
    report = evaluate(
        sentences, predicted, dataset.gold_train, dataset.schema, config, dataset.weak_train
    )
    run.log_metrics(report.metrics, model_id=model.model_id)
    run.log_frame(PREDICTIONS, report.predictions)
    log_report(run, report)
    texts = running_texts(sentences)
    kind = KIND_NAMES[texts.kind]
    log.info("tagging %d %s of %s", len(texts.texts), kind, split)
    answers = answer_texts(EntityRecognizer(tagger), texts.texts)
    scores = score_texts(
        answers, dataset.schema.types, config.resamples, config.confidence_level, config.seed
    )
    text_metrics = {
        **{f"{texts.kind}/{name}": value for name, value in scores.items()},
        F1_LOST: report.metrics[f"{split}/f1"] - scores["f1"],
    }
    run.log_metrics(text_metrics, model_id=model.model_id)
    _log_texts(run, answers, scores, dataset.schema.types, texts.kind, config.shown_texts)
    if model.run_id and not model.is_onnx:
        # Beside the settings of the training, so that MLflow can plot one against the other.
        shown = {f"{split}/f1": report.metrics[f"{split}/f1"]} | {
            name: value for name, value in text_metrics.items() if name == f"{texts.kind}/f1"
        }
        Run(model.run_id, run.experiment_id).log_metrics(shown)
    key = evaluate_cache_key(config, model, data)
    record = replace(record, cache_key=key, metrics={**report.metrics, **text_metrics})
    record.write(run)
    found = []
    for name, shown in (("given words", record.scores), (kind, record.text_scores)):
        f1, low, high = (shown[key] for key in ("f1", "f1_low", "f1_high"))
        percent = 100 * config.confidence_level
        interval = f"{percent:g} % interval {low:.4f} to {high:.4f}"
        found.append(f"{split} F1 {f1:.4f} on {name} ({interval})")
        log.info("%s", found[-1])
    run.describe(report.tables["scores"], page_links(run, PAGES), f"{'; '.join(found)}.")
    return Evaluation(record, report.predictions, answers)


def _log_texts(
    run: Run,
    answers: Sequence[TextAnswer],
    scores: Mapping[str, float],
    types: Sequence[str],
    kind: str,
    shown: int,
) -> None:
    """Log the answers to running texts, with the tables and pages that are made of them."""
    run.log_frame(TEXTS, answer_frame(answers))
    run.log_table("text_scores", score_table(scores, types, TEXT_SCORE_COLUMNS))
    errors = find_text_errors(answers)
    run.log_table("text_errors", text_error_table(errors, types))
    page = render_text_page(answers, errors, types, scores, kind == STANDIN, shown)
    run.log_page("texts", page)


def log_report(run: Run, report: EvalReport, without: Sequence[str] = ()) -> None:
    """Log the tables, pages and figures of a report, except those that are named."""
    for name, table in report.tables.items():
        if name not in without:
            # A page of the same name is the better one to read, so the table goes beside it.
            run.log_table(name if name not in report.pages else f"{name}_table", table)
    for name, page in report.pages.items():
        run.log_page(name, page)
    for name, figure in report.figures.items():
        if name not in without:
            run.log_figure(name, figure)


def run_evaluate_several(
    run: Run, config: EvaluateConfig, models: Sequence[FoundModel], data: TrackedDataset
) -> pd.DataFrame:
    """Score models below an open run and test each pair for a difference.

    Each model has a run of its own, an earlier one if it was scored in the same way before.

    Returns:
        One row a model, the best F1 first: the scores, and the p-value of the difference from the
        best.
    """
    run.log_config({"evaluate": config})
    run.set_tags({**data.fields})
    run.set_name(Step.EVALUATE, data.dataset.name, f"{len(models)} models")
    types = data.dataset.schema.types
    evaluations = {model.address: evaluate_once(run, config, model, data) for model in models}
    scores = {address: evaluation.record.scores for address, evaluation in evaluations.items()}
    order = sorted(scores, key=lambda address: -scores[address]["f1"])
    counts = {
        address: prediction_counts(evaluations[address].predictions, types) for address in order
    }
    differences = pairwise_differences(counts, config.resamples, config.seed)
    p_values = p_values_against(differences, order[0])
    rows = [
        {
            "model": address,
            **{name: scores[address].get(name, np.nan) for name in SHOWN_SCORES},
            **text_columns(evaluations[address].record),
            **{f"{type_}_f1": scores[address].get(f"{type_}/f1", np.nan) for type_ in types},
            "p_against_best": p_values.get(address, np.nan),
            "run": evaluations[address].record.run_id,
        }
        for address in order
    ]
    table = pd.DataFrame(rows)
    run.log_table("models", table)
    run.log_table("differences", differences)
    run.log_figure("differences", plot_differences(differences, order, SIGNIFICANCE_LEVEL))
    pages = {"models": "models.html", "differences": "differences.png"}
    lead = best_in_words(table, f"{config.split} of {data.dataset.name}")
    columns = ["model", "f1", "f1_low", "f1_high", "p_against_best"]
    run.describe(table[columns], page_links(run, pages), lead)
    return table


def best_in_words(table: pd.DataFrame, scored_on: str) -> str:
    """Return Markdown that names the best model, the second and whether their F1 differs.

    Args:
        table: a row for each model, the best first, with ``model``, ``f1`` and ``p_against_best``.
        scored_on: what they were scored on.
    """
    best, *others = table[["model", "f1", "p_against_best"]].to_dict("records")
    text = f"{best['model']} has the best F1, {best['f1']:.4f} on {scored_on}"
    if others:
        second = others[0]
        p = second["p_against_best"]
        sure = "is significant" if p <= SIGNIFICANCE_LEVEL else "may be chance"
        text += f"; {second['model']} has {second['f1']:.4f}. The difference {sure} (p = {p:.4f})"
    return escape_markdown(f"{text}.")


def evaluate_once(
    run: Run, config: EvaluateConfig, model: FoundModel, data: TrackedDataset
) -> Evaluation:
    """Return an equal earlier evaluation of a model, or evaluate it in a run below ``run``."""
    key = evaluate_cache_key(config, model, data)
    run_id = reusable_run(Step.EVALUATE, key, run.experiment_id)
    if run_id:
        log.info("%s: run %s scored it before", model.address, run_id)
        return load_evaluation(EvaluateRecord.read(run_id))
    with open_child(run, Step.EVALUATE, Step.EVALUATE) as child:
        return run_evaluate(child, config, model, data)


def load_evaluation(record: EvaluateRecord) -> Evaluation:
    """Return an earlier evaluation with its predictions and answers."""
    path = download(f"runs:/{record.run_id}/{TEXTS}.parquet")
    return Evaluation(record, load_predictions(record), answers_of_frame(pd.read_parquet(path)))


def load_predictions(record: EvaluateRecord) -> pd.DataFrame:
    """Return the predictions of an earlier evaluation."""
    return pd.read_parquet(download(f"runs:/{record.run_id}/{PREDICTIONS}.parquet"))


def prediction_counts(predictions: pd.DataFrame, types: Sequence[str]) -> NDArray[np.int64]:
    """Return the counts of :func:`~ner_mlflow.evaluation.counts.entity_counts`."""
    gold, predicted = (predictions[name].tolist() for name in ("gold", "predicted"))
    return entity_counts(gold, predicted, types)


def text_columns(
    record: EvaluateRecord, names: Sequence[str] = ("f1", "f1_low", "f1_high")
) -> dict[str, float]:
    """Return scores in running text as columns: ``raw_f1``, ``raw_f1_low``, ...

    Empty for an evaluation that scored given words only.
    """
    kind, scores = record.text_kind, record.text_scores
    return {f"{kind}_{name}": scores[name] for name in names if name in scores}


def p_values_against(differences: pd.DataFrame, model: str) -> dict[str, float]:
    """Return the p-value of the difference of each other model from ``model``, by its name."""
    rows = differences.to_dict("records")
    return {row["other"]: row["p_value"] for row in rows if row["model"] == model}


def check_schema(tagger: Tagger, data: TrackedDataset) -> None:
    """Check that a dataset has the entity types of a model.

    Raises:
        DataError: it has others.
    """
    types = data.dataset.schema.types
    if tagger.labels != data.dataset.schema.labels:
        raise DataError(
            f"data run {data.run_id} has the types {', '.join(types)}, the model "
            f"{', '.join(tagger.spec.types)}: give data prepared with the model's label map"
        )


def evaluate_cache_key(config: EvaluateConfig, model: FoundModel, data: TrackedDataset) -> str:
    """Return a key that is equal for equal code, libraries, settings, model and data."""
    code = step_fingerprint(__file__)
    settings, dataset = config.model_dump_json(), data.dataset.fingerprint
    return cache_key(
        [Step.EVALUATE, code, library_versions(), settings, model.fingerprint, dataset]
    )
