"""Record the answers of an exported model, and compare later answers with them."""

from collections.abc import Sequence
from typing import Any

from ..tagging.recognizer import EntityRecognizer

GoldenAnswers = dict[str, list[dict[str, Any]]]
"""The entities of each text, as served."""
SCORE_TOLERANCE = 1e-3


def golden_answers(recognizer: EntityRecognizer, texts: Sequence[str]) -> GoldenAnswers:
    """Answer each text on its own, because the batch affects the answers of an int8 model."""
    return {text: recognizer.recognize_rows([text])[0] for text in texts}


def answers_match(actual: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> bool:
    """Return whether texts, labels and offsets are equal, and scores equal within the tolerance.

    Scores differ in their last digits where sums are computed in another order.
    """
    return len(actual) == len(expected) and all(
        {**entity, "score": None} == {**golden, "score": None}
        and abs(entity["score"] - golden["score"]) <= SCORE_TOLERANCE
        for entity, golden in zip(actual, expected, strict=True)
    )
