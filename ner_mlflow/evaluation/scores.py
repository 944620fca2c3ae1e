"""Strict entity scores by seqeval."""

from collections.abc import Sequence
from warnings import catch_warnings, simplefilter

import numpy as np
from nervaluate import Evaluator
from numpy.typing import NDArray
from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOB2

from ..data.sentences import Sentence
from ..tagging.tagger import Tagged, Tagger

Tags = Sequence[str]


def score(gold: Sequence[Tags], predicted: Sequence[Tags]) -> dict[str, float]:
    """Micro precision, recall and F1 over entities in strict IOB2, accuracy over words, and the same by type with support.

    Names are ``f1``, ``precision``, ``recall``, ``accuracy``, ``support``, ``OS/f1``, ``OS/support``, ... A type is listed
    when gold or prediction holds it; without any entity at all the scores are 0.
    """
    gold_lists, predicted_lists = [list(tags) for tags in gold], [list(tags) for tags in predicted]
    with catch_warnings():
        simplefilter(
            "ignore"
        )  # seqeval warns of every type without a prediction; the 0 it gives says so
        report = classification_report(
            gold_lists,
            predicted_lists,
            mode="strict",
            scheme=IOB2,
            output_dict=True,
            zero_division=0,
        )
    scores = _named(report["micro avg"], "")
    scores["accuracy"] = float(accuracy_score(gold_lists, predicted_lists))
    for type_, values in report.items():
        if not type_.endswith(" avg"):
            scores |= _named(values, f"{type_}/")
    return scores


SEMEVAL = {"strict": "strict", "exact": "exact", "partial": "partial", "type": "ent_type"}
"""Measures of SemEval-2013 task 9 -> what nervaluate calls them."""


def semeval_counts(
    gold: Sequence[Tags], predicted: Sequence[Tags], types: Sequence[str]
) -> NDArray[np.float64]:
    """Points, predicted and gold entities of each sentence by the measures of :data:`SEMEVAL`, by nervaluate; shape (sentences, 4, 3).

    ``exact`` asks for the span alone, ``partial`` gives half a point for an overlap, ``type`` asks for the type of what overlaps
    (Segura-Bedmar, Martínez and Herrero-Zazo, "SemEval-2013 Task 9", 2013). nervaluate pairs each entity with one other at most.
    """
    counts = np.zeros((len(gold), len(SEMEVAL), 3))
    for row, (gold_tags, predicted_tags) in enumerate(zip(gold, predicted, strict=True)):
        found = Evaluator(
            [list(gold_tags)], [list(predicted_tags)], tags=list(types), loader="list"
        ).evaluate()["overall"]
        for place, name in enumerate(SEMEVAL.values()):
            counts[row, place] = (
                found[name].correct + 0.5 * found[name].partial * (name == "partial"),
                found[name].actual,
                found[name].possible,
            )
    return counts


def predict(tagger: Tagger, sentences: Sequence[Sentence]) -> list[Tagged]:
    """What the tagger says each word's tag is, and how sure it is."""
    return tagger.tag(
        [sentence.tokens for sentence in sentences], [sentence.document for sentence in sentences]
    )


def score_tagger(tagger: Tagger, sentences: Sequence[Sentence]) -> dict[str, float]:
    """Tag the sentences and :func:`score` what comes out."""
    return score(
        [sentence.tags for sentence in sentences],
        [tagged.tags for tagged in predict(tagger, sentences)],
    )


def _named(values: dict[str, float], prefix: str) -> dict[str, float]:
    names = {"f1": "f1-score", "precision": "precision", "recall": "recall", "support": "support"}
    return {f"{prefix}{ours}": float(values[theirs]) for ours, theirs in names.items()}
