"""Errors are found by type, by category and by slice."""

import pandas as pd
import pytest

from ner_mlflow.config.schema import EvaluateConfig
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.demo.explorer import (
    ANY,
    ERRORS,
    Case,
    Filter,
    category_counts,
    confusion,
    describe,
    find,
    read_cases,
    slice_criteria,
    slice_rows,
)
from ner_mlflow.tagging.iob2 import OUTSIDE

ROWS = [
    # tokens, gold, predicted
    (["Redis", "on", "Ubuntu"], ["B-SW", "O", "B-OS"], ["B-SW", "O", "B-SW"]),
    (["Windows", "11", "runs"], ["B-OS", "I-OS", "O"], ["B-OS", "O", "O"]),
    (["Redis", "is", "down"], ["B-SW", "O", "O"], ["O", "O", "B-OS"]),
    (["all", "fine"], ["O", "O"], ["O", "O"]),
]
CASES = read_cases(
    pd.DataFrame(ROWS, columns=["tokens", "gold", "predicted"]).assign(origin=["a", "b", "c", "d"])
)
TRAIN = [Sentence(("Redis", "Ubuntu"), ("B-SW", "O"))]


def found(**wanted: str) -> list[str]:
    slices = slice_criteria(CASES, TRAIN, EvaluateConfig())
    return [
        f"{one.case.origin}: {describe(one.case, outcome)}"
        for one in find(CASES, Filter(**wanted), slices)
        for outcome in one.outcomes
    ]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            {},
            [
                "c: SW “Redis”",
                "c: “down” as OS",
                "a: OS “Ubuntu” as SW “Ubuntu”",
                "b: OS “Windows 11” as OS “Windows”",
            ],
        ),
        ({"gold": "OS", "predicted": "SW"}, ["a: OS “Ubuntu” as SW “Ubuntu”"]),
        ({"gold": OUTSIDE}, ["c: “down” as OS"]),
        ({"predicted": OUTSIDE}, ["c: SW “Redis”"]),
        ({"category": "boundary"}, ["b: OS “Windows 11” as OS “Windows”"]),
        ({"category": "correct"}, ["a: SW “Redis”"]),
        ({"gold": "SW", "category": ANY}, ["c: SW “Redis”", "a: SW “Redis”"]),
        ({"by": "surface", "part": "seen"}, ["c: SW “Redis”"]),
        ({"by": "train count", "part": "1", "category": ERRORS}, ["c: SW “Redis”"]),
    ],
)
def test_a_filter_lets_through_what_it_names(wanted: dict[str, str], expected: list[str]) -> None:
    assert found(**wanted) == expected


def test_the_confusion_counts_what_a_click_on_its_cell_shows() -> None:
    types = ["OS", "SW"]
    matrix = confusion(CASES, types)
    for gold in (*types, OUTSIDE):
        for predicted in (*types, OUTSIDE):
            wanted = Filter(gold=gold, predicted=predicted, category=ANY)
            shown = sum(len(one.outcomes) for one in find(CASES, wanted))
            assert matrix.loc[gold, predicted] == shown


def test_counts_by_category_and_slice_hold_every_gold_entity() -> None:
    counts = category_counts(CASES)
    assert counts == {
        "correct": 1,
        "boundary": 1,
        "type": 1,
        "both": 0,
        "missed": 1,
        "spurious": 1,
    }
    rows = slice_rows(CASES, slice_criteria(CASES, TRAIN, EvaluateConfig()))
    by_criterion: dict[str, int] = {}
    for by, _, gold, _ in rows:
        by_criterion[by] = by_criterion.get(by, 0) + gold
    assert by_criterion == {"words": 4, "surface": 4, "train count": 4}
    assert ("surface", "seen", 2, 1) in rows
    assert ("surface", "seen as another type", 0, 0) in rows


def test_predictions_that_are_not_iob2_are_left_out() -> None:
    broken = pd.DataFrame([(["x"], ["B-OS"], ["I-OS"])], columns=["tokens", "gold", "predicted"])
    assert read_cases(broken) == []


def test_a_case_without_an_origin_has_an_empty_one() -> None:
    (case,) = read_cases(pd.DataFrame(ROWS[:1], columns=["tokens", "gold", "predicted"]))
    assert isinstance(case, Case)
    assert case.origin == ""
