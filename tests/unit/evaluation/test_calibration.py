"""Calibration: the confidence of entities against their precision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.evaluation.calibration import (
    expected_calibration_error,
    reliability,
    span_confidences,
)
from ner_mlflow.tagging.tagger import Tagged


def test_confidence_is_the_mean_over_a_spans_words() -> None:
    gold = [["B-OS", "I-OS", "O"], ["B-OS"]]
    predicted = [
        Tagged(["B-OS", "I-OS", "B-OS"], np.array([0.9, 0.7, 0.5], np.float32)),
        Tagged(["B-OS"], np.array([0.6], np.float32)),
    ]
    confidences, correct = span_confidences(gold, predicted)
    assert confidences.tolist() == pytest.approx([0.8, 0.5, 0.6])
    assert correct.tolist() == [True, False, True]


def test_calibration_error_is_the_distance_of_confidence_from_precision() -> None:
    confidences, correct = (
        np.array([0.95, 0.95, 0.95, 0.95, 0.15, 0.25]),
        np.array([True, True, True, False, False, True]),
    )
    table = reliability(confidences, correct, 10)
    assert table["entities"].tolist() == [1, 1, 4]
    assert expected_calibration_error(table) == pytest.approx((4 * 0.2 + 0.15 + 0.75) / 6)


def test_without_entities_there_is_no_bin_and_no_calibration_error() -> None:
    table = reliability(np.array([]), np.array([], bool), 10)
    assert len(table) == 0
    assert np.isnan(expected_calibration_error(table))


def test_the_interval_of_a_bin_is_that_of_wilson_and_wide_for_few_entities() -> None:
    (few,) = reliability(np.full(4, 0.9), np.ones(4, bool), 1).to_dict("records")
    assert (few["precision_low"], few["precision_high"]) == pytest.approx((0.5101, 1.0), abs=1e-4)
    half = np.arange(100) % 2 == 0
    (many,) = reliability(np.full(100, 0.5), half, 1).to_dict("records")
    assert (many["precision_low"], many["precision_high"]) == pytest.approx(
        (0.4038, 0.5962), abs=1e-4
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50), st.integers(2, 15))
def test_every_entity_is_in_one_bin(entities: list[tuple[float, bool]], bins: int) -> None:
    table = reliability(
        np.array([confidence for confidence, _ in entities]),
        np.array([correct for _, correct in entities], bool),
        bins,
    )
    assert table["entities"].sum() == len(entities)
    assert (
        (table["mean_confidence"] >= table["from"] - 1e-9)
        & (table["mean_confidence"] <= table["to"] + 1e-9)
    ).all()
