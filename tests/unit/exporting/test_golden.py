"""Golden answers: equal entities match, scores within the tolerance."""

from typing import Any

import pytest

from ner_mlflow.exporting.golden import SCORE_TOLERANCE, answers_match

ENTITY = {"text": "Ubuntu", "label": "OS", "start": 4, "end": 10, "score": 0.9}


@pytest.mark.parametrize(
    ("actual", "matches"),
    [
        ([ENTITY], True),
        ([{**ENTITY, "score": 0.9 + 0.9 * SCORE_TOLERANCE}], True),
        ([{**ENTITY, "score": 0.9 - 1.1 * SCORE_TOLERANCE}], False),
        ([{**ENTITY, "label": "SOFTWARE"}], False),
        ([{**ENTITY, "start": 3}], False),
        ([{**ENTITY, "end": 11}], False),
        ([{**ENTITY, "text": "Debian"}], False),
        ([], False),
        ([ENTITY, ENTITY], False),
    ],
)
def test_only_equal_entities_with_nearly_equal_scores_match(
    actual: list[dict[str, Any]], matches: bool
) -> None:
    assert answers_match(actual, [ENTITY]) is matches
