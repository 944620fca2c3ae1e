"""Evaluate one model on one split: scores, tables, pages and plots."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..config.schema import EvaluateConfig
from ..data.sentences import Sentence
from ..plotting import number
from ..tagging.iob2 import to_entities
from ..tagging.label_schema import LabelSchema
from ..tagging.tagger import Tagged
from .calibration import expected_calibration_error, reliability, span_confidences
from .counts import entity_counts, f1, precision, prepend_total, recall
from .error_analysis import (
    category_examples,
    category_table,
    entity_confusion,
    error_pairs,
    match,
    sentence_table,
    token_confusion,
    worst_sentences,
)
from .pages import render_sentences_page
from .plots import plot_confusion, plot_reliability, plot_slices, plot_type_scores
from .scores import SEMEVAL, score, score_table, semeval_counts
from .significance import Interval, bootstrap_intervals
from .slices import count_slices, train_surfaces

SCORE_COLUMNS = ("precision", "recall", "f1", "f1_low", "f1_high", "support")


@dataclass(frozen=True)
class EvalReport:
    """Scores of one split, and the tables, pages and plots that explain them, by logged name.

    Attributes:
        predictions: one row for each sentence; columns ``tokens``, ``gold``, ``predicted`` and
            ``probabilities`` hold a list each.
    """

    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame]
    pages: dict[str, str]
    figures: dict[str, Figure]
    predictions: pd.DataFrame


def evaluate(
    sentences: Sequence[Sentence],
    predicted: Sequence[Tagged],
    train: Sequence[Sentence],
    schema: LabelSchema,
    config: EvaluateConfig,
    weak_train: Sequence[Sentence] = (),
) -> EvalReport:
    """Score predictions, analyse their errors, and compute intervals and calibration.

    Metric names begin with the split: ``test/f1``, ``test/OS/f1``, ``test/f1_low``, ... A type or a
    slice without gold and predicted entities has no metrics.

    Args:
        sentences: with valid gold tags in IOB2.
        predicted: valid IOB2 tags and probabilities of each sentence.
        train: the gold sentences of train, to distinguish seen from unseen entities.
        schema: the labels.
        config: the split's name, resamples, and sizes of tables.
        weak_train: the weakly labelled sentences of train.
    """
    gold = [sentence.tags for sentence in sentences]
    predicted_tags = [tagged.tags for tagged in predicted]
    outcomes = [
        match(to_entities(g), to_entities(p)) for g, p in zip(gold, predicted_tags, strict=True)
    ]
    scores = score(gold, predicted_tags)

    def intervals_of(counts: NDArray[np.number]) -> list[Interval]:
        return bootstrap_intervals(counts, config.resamples, config.confidence_level, config.seed)

    overall, *by_type = intervals_of(
        prepend_total(entity_counts(gold, predicted_tags, schema.types))
    )
    intervals = {
        "": overall.of_all,
        **{
            f"{type_}/": interval
            for type_, interval in zip(schema.types, by_type, strict=True)
            if f"{type_}/f1" in scores
        },
    }
    by_measure = semeval_counts(gold, predicted_tags, schema.types)
    semeval = _semeval_table(by_measure, intervals_of(by_measure))
    by_word = token_confusion(gold, predicted_tags, schema.types)
    by_entity = entity_confusion(outcomes, schema.types)
    worst = worst_sentences(sentences, outcomes, config.worst_sentences)
    slices = count_slices(
        sentences,
        predicted_tags,
        train_surfaces(train),
        train_surfaces(weak_train),
        config.length_edges,
        config.frequency_edges,
    )
    by_slice = slices.table(intervals_of(slices.counts))
    calibration = reliability(*span_confidences(gold, predicted), config.calibration_bins)
    error = expected_calibration_error(calibration)
    metrics = {
        **scores,
        **{
            f"{prefix}f1_{end}": getattr(interval, end)
            for prefix, interval in intervals.items()
            for end in ("low", "high")
        },
        **{
            f"semeval/{row['measure']}/{name}": row[name]
            for row in semeval.to_dict("records")
            for name in ("precision", "recall", "f1")
        },
        **{
            f"surface/{str(row['slice']).replace(' ', '_')}/f1": row["f1"]
            for row in by_slice.to_dict("records")
            if row["by"] == "surface"
        },
        "calibration_error": error,
    }
    return EvalReport(
        metrics={
            f"{config.split}/{name}": float(value)
            for name, value in metrics.items()
            if not np.isnan(value)
        },
        tables={
            "scores": score_table(metrics, schema.types, SCORE_COLUMNS),
            "semeval": semeval,
            "slices": by_slice,
            "calibration": calibration,
            "categories": category_table(outcomes, schema.types),
            "token_confusion": by_word.reset_index(),
            "entity_confusion": by_entity.reset_index(),
            "error_pairs": error_pairs(sentences, outcomes, config.error_pairs),
            "worst_sentences": sentence_table(sentences, outcomes, worst),
        },
        pages={
            "worst_sentences": render_sentences_page(
                f"Worst sentences of {config.split}",
                sentences,
                predicted_tags,
                {"": worst},
                schema.types,
            ),
            "errors": render_sentences_page(
                f"Errors on {config.split}, by type and category",
                sentences,
                predicted_tags,
                category_examples(outcomes, schema.types, config.examples),
                schema.types,
            ),
        },
        figures={
            "token_confusion": plot_confusion(
                by_word, f"Words of {config.split}: gold and predicted type", "words"
            ),
            "entity_confusion": plot_confusion(
                by_entity, f"Entities of {config.split}: gold and predicted type", "entities"
            ),
            "type_scores": plot_type_scores(
                scores,
                schema.types,
                f"Strict scores by type on {config.split}",
                intervals,
                config.confidence_level,
            ),
            "slices": plot_slices(
                by_slice, f"Strict F1 on parts of {config.split}", config.confidence_level
            ),
            "calibration": plot_reliability(
                calibration,
                f"Confidence and precision of entities of {config.split} "
                f"(calibration error {number(error, 3)})",
            ),
        },
        predictions=pd.DataFrame(
            {
                "sentence": range(len(sentences)),
                "document": [sentence.document or "" for sentence in sentences],
                "origin": [sentence.origin for sentence in sentences],
                "tokens": [list(sentence.tokens) for sentence in sentences],
                "gold": [list(tags) for tags in gold],
                "predicted": predicted_tags,
                "probabilities": [tagged.probabilities.tolist() for tagged in predicted],
            }
        ),
    )


def _semeval_table(counts: NDArray[np.float64], intervals: Sequence[Interval]) -> pd.DataFrame:
    sums = counts.sum(axis=0)
    return pd.DataFrame(
        {
            "measure": list(SEMEVAL),
            "precision": precision(sums),
            "recall": recall(sums),
            "f1": f1(sums),
            "f1_low": [interval.low for interval in intervals],
            "f1_high": [interval.high for interval in intervals],
        }
    )
