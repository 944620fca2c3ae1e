"""What a model answered when it was exported, to be compared with wherever it is loaded."""

from collections.abc import Sequence
from typing import Any

from ..tagging.recognizer import EntityRecognizer

Golden = dict[str, list[dict[str, Any]]]
"""Texts and their entities, as served."""
SCORE_TOLERANCE = 1e-3


def golden_answers(recognizer: EntityRecognizer, texts: Sequence[str]) -> Golden:
    """The answers to texts, each asked by itself: activations of an int8 model are scaled by what else is in the batch."""
    return {text: recognizer.recognize_rows([text])[0] for text in texts}


def answers_alike(found: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> bool:
    """Whether texts, labels and offsets are equal and scores nearly so: sums in another order differ in their last digits."""
    return len(found) == len(expected) and all(
        {**one, "score": None} == {**other, "score": None}
        and abs(one["score"] - other["score"]) <= SCORE_TOLERANCE
        for one, other in zip(found, expected, strict=True)
    )
