"""Score a model's answers to running texts, in characters: strict and by overlap."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..tagging.iob2 import Entity
from .counts import CORRECT, GOLD, PREDICTED, f1, precision, prepend_total, recall, type_counts
from .error_analysis import match
from .significance import bootstrap_intervals
from .text_answers import TextAnswer

TEXT_SCORE_COLUMNS = (
    *("precision", "recall", "f1", "f1_low", "f1_high"),
    *("overlap_f1", "support"),
)
"""Scores of a type that a table shows."""


def strict_counts(answers: Sequence[TextAnswer], types: Sequence[str]) -> NDArray[np.int64]:
    """Count correct, predicted and gold entities by text and type.

    A predicted entity is correct if a gold entity has its start, its end and its type.

    Returns:
        Shape (texts, types, 3).
    """
    return type_counts(*_gold_and_predicted(answers), types)


def overlap_counts(answers: Sequence[TextAnswer], types: Sequence[str]) -> NDArray[np.int64]:
    """Count entities as :func:`strict_counts` does, where any overlap within a type is correct.

    The entities of each type are paired one to one by
    :func:`~ner_mlflow.evaluation.error_analysis.match`: equal spans first, then those that share
    most characters. A pair is one correct entity, however little it shares. So of two predicted
    parts of one gold entity one is correct, and one prediction over two gold entities finds one.

    Returns:
        Shape (texts, types, 3).
    """
    gold, predicted = _gold_and_predicted(answers)
    counts = type_counts(gold, predicted, types)
    for row, (gold_entities, found) in enumerate(zip(gold, predicted, strict=True)):
        for column, type_ in enumerate(types):
            outcomes = match(
                [entity for entity in gold_entities if entity.type == type_],
                [entity for entity in found if entity.type == type_],
            )
            pairs = [outcome for outcome in outcomes if outcome.gold and outcome.predicted]
            counts[row, column, CORRECT] = len(pairs)
    return counts


def score_texts(
    answers: Sequence[TextAnswer],
    types: Sequence[str],
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, float]:
    """Return the scores of answers: micro averages, and those of each type.

    Names are ``f1``, ``f1_low``, ``f1_high``, ``precision``, ``recall``, ``overlap_f1``,
    ``support``, ``OS/f1``, ... A type is listed if gold or predicted entities hold it. Without
    any entity the scores of all are 0. Intervals are of strict F1; they draw whole texts.

    Args:
        answers: one or more.
        types: entity types.
        resamples: samples of the bootstrap.
        confidence: share of the samples inside an interval.
        seed: of the bootstrap.
    """
    strict = prepend_total(strict_counts(answers, types))
    sums = strict.sum(axis=0)
    overlap_sums = prepend_total(overlap_counts(answers, types)).sum(axis=0)
    intervals = bootstrap_intervals(strict, resamples, confidence, seed)
    scores: dict[str, float] = {}
    for index, prefix in enumerate(("", *(f"{type_}/" for type_ in types))):
        if prefix and not sums[index, [PREDICTED, GOLD]].any():
            continue
        values = {
            "f1": f1(sums[index], 0),
            "f1_low": intervals[index].of_all.low,
            "f1_high": intervals[index].of_all.high,
            "precision": np.nan_to_num(precision(sums[index])),
            "recall": np.nan_to_num(recall(sums[index])),
            "overlap_f1": f1(overlap_sums[index], 0),
            "support": sums[index, GOLD],
        }
        scores |= {f"{prefix}{name}": float(value) for name, value in values.items()}
    return scores


def _gold_and_predicted(
    answers: Sequence[TextAnswer],
) -> tuple[list[Sequence[Entity]], list[Sequence[Entity]]]:
    return [answer.gold for answer in answers], [answer.predicted for answer in answers]
