"""Score predictions: strict entity scores by seqeval, SemEval measures by nervaluate."""

from collections.abc import Mapping, Sequence
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from nervaluate import Evaluator
from numpy.typing import NDArray
from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOB2

from ..data.sentences import Sentence
from ..tagging.tagger import Tagged, Tagger

Tags = Sequence[str]


def score(gold: Sequence[Tags], predicted: Sequence[Tags]) -> dict[str, float]:
    """Return strict IOB2 scores: micro precision, recall and F1, overall and by type.

    Names are ``f1``, ``precision``, ``recall``, ``support``, ``accuracy`` (over words), ``OS/f1``,
    ``OS/support``, ... A type is listed if gold or predicted tags hold it; another one has no
    scores. Without any entity the scores of all are 0, so that models can be ranked.

    Args:
        gold: tags of each sentence.
        predicted: tags of each sentence.
    """
    gold_lists, predicted_lists = [list(tags) for tags in gold], [list(tags) for tags in predicted]
    with catch_warnings():
        simplefilter("ignore")  # seqeval warns of every type without a prediction; its score is 0
        report = classification_report(
            gold_lists,
            predicted_lists,
            mode="strict",
            scheme=IOB2,
            output_dict=True,
            zero_division=0,
        )
    scores = _select(report["micro avg"], "")
    scores["accuracy"] = float(accuracy_score(gold_lists, predicted_lists))
    for type_, values in report.items():
        if not type_.endswith(" avg"):
            scores |= _select(values, f"{type_}/")
    return scores


def score_table(
    scores: Mapping[str, float], types: Sequence[str], columns: Sequence[str]
) -> pd.DataFrame:
    """Return one row for each type that has scores, and a last one for all.

    Args:
        scores: scores such as ``f1`` and ``OS/f1``.
        types: entity types, in the order of the rows.
        columns: names of scores.
    """
    return pd.DataFrame(
        [
            {"type": name, **{column: scores[f"{prefix}{column}"] for column in columns}}
            for name, prefix in (*((type_, f"{type_}/") for type_ in types), ("all", ""))
            if f"{prefix}f1" in scores
        ]
    )


SEMEVAL = {"strict": "strict", "exact": "exact", "partial": "partial", "type": "ent_type"}
"""Measure of SemEval-2013 task 9 -> its name in nervaluate."""


def semeval_counts(
    gold: Sequence[Tags], predicted: Sequence[Tags], types: Sequence[str]
) -> NDArray[np.float64]:
    """Count points, predicted and gold entities by sentence and measure of :data:`SEMEVAL`.

    ``exact`` compares spans alone, ``partial`` gives half a point for an overlap, ``type`` compares
    the types of overlapping entities (Segura-Bedmar, Martínez and Herrero-Zazo, "SemEval-2013 Task
    9", 2013). nervaluate matches each entity with one other or none.

    Returns:
        Shape (sentences, 4, 3).
    """
    counts = np.zeros((len(gold), len(SEMEVAL), 3))
    for row, (gold_tags, predicted_tags) in enumerate(zip(gold, predicted, strict=True)):
        results = Evaluator(
            [list(gold_tags)], [list(predicted_tags)], tags=list(types), loader="list"
        ).evaluate()["overall"]
        for column, name in enumerate(SEMEVAL.values()):
            counts[row, column] = (
                results[name].correct + 0.5 * results[name].partial * (name == "partial"),
                results[name].actual,
                results[name].possible,
            )
    return counts


def predict(tagger: Tagger, sentences: Sequence[Sentence]) -> list[Tagged]:
    """Return the predicted tags of each sentence with their probabilities."""
    return tagger.tag(
        [sentence.tokens for sentence in sentences], [sentence.document for sentence in sentences]
    )


def score_tagger(tagger: Tagger, sentences: Sequence[Sentence]) -> dict[str, float]:
    """Tag sentences and return the :func:`score` of the result."""
    return score(
        [sentence.tags for sentence in sentences],
        [tagged.tags for tagged in predict(tagger, sentences)],
    )


def _select(values: dict[str, float], prefix: str) -> dict[str, float]:
    keys = {"f1": "f1-score", "precision": "precision", "recall": "recall", "support": "support"}
    return {f"{prefix}{name}": float(values[key]) for name, key in keys.items()}
