"""Thresholds: the largest that cost no F1 of their type."""

import numpy as np

from ner_mlflow.modeling.thresholds import choose_thresholds
from ner_mlflow.tagging.tagger import Tagged


def tagged(tag: str, probability: float) -> Tagged:
    return Tagged([tag], np.array([probability], dtype=np.float32))


def test_doubtful_errors_raise_a_threshold_and_doubtful_hits_bound_it() -> None:
    gold = [["B-OS"], ["B-OS"], ["O"]]
    predicted = [tagged("B-OS", 0.95), tagged("B-OS", 0.72), tagged("B-OS", 0.5)]
    assert choose_thresholds(gold, predicted, ["OS"]) == {"OS": 0.7}


def test_a_type_that_no_threshold_helps_has_none() -> None:
    gold = [["B-OS"], ["O"]]
    predicted = [tagged("B-OS", 0.25), tagged("O", 0.9)]
    assert choose_thresholds(gold, predicted, ["OS", "VERSION"]) == {}


def test_types_have_their_own_thresholds() -> None:
    gold = [["B-OS"], ["B-VERSION"]]
    predicted = [tagged("B-OS", 0.47), tagged("B-VERSION", 0.97)]
    assert choose_thresholds(gold, predicted, ["OS", "VERSION"]) == {"OS": 0.45, "VERSION": 0.9}
