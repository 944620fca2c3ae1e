"""Scores of slices, and calibration of confidence."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.evaluation.calibration import (
    expected_calibration_error,
    reliability,
    span_confidences,
)
from ner_mlflow.evaluation.significance import Interval
from ner_mlflow.evaluation.slices import count_slices, train_surfaces
from ner_mlflow.tagging.tagger import Tagged


def tagged(text: str) -> Sentence:
    words = [word.partition("/") for word in text.split()]
    return Sentence(tuple(word for word, _, _ in words), tuple(tag or "O" for _, _, tag in words))


TRAIN = [
    tagged("Ubuntu/B-OS 22.04/I-OS"),
    tagged("ubuntu/B-OS"),
    tagged("UBUNTU/B-OS and Java/B-SOFTWARE"),
]
SENTENCES = [
    tagged("Ubuntu/B-OS"),
    tagged("Java/B-OS runs on Arch/B-OS Linux/I-OS"),
    tagged("no entity here"),
]
PREDICTED = [["B-OS"], ["B-OS", "O", "O", "B-OS", "O"], ["O", "O", "B-SOFTWARE"]]


def slice_scores(length_edges: list[int], frequency_edges: list[int]) -> pd.DataFrame:
    slices = count_slices(
        SENTENCES, PREDICTED, train_surfaces(TRAIN), length_edges, frequency_edges
    )
    return slices.table([Interval(0.0, 1.0)] * len(slices.names)).drop(
        columns=["f1_low", "f1_high"]
    )


def row(table: pd.DataFrame, by: str, name: str) -> dict[str, float]:
    (match,) = table[(table["by"] == by) & (table["slice"] == name)].to_dict("records")
    return {str(key): value for key, value in match.items() if key not in ("by", "slice")}


def test_entities_count_by_their_occurrence_in_train() -> None:
    table = slice_scores([2, 4], [1, 3])
    assert row(table, "surface", "seen") == {
        "gold": 1,
        "predicted": 1,
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
    }
    assert row(table, "surface", "seen as another type") == {
        "gold": 1,
        "predicted": 1,
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
    }
    # Arch Linux is missed; "Arch" alone and "here" are wrong.
    assert row(table, "surface", "unseen") == {
        "gold": 1,
        "predicted": 2,
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
    }


def test_entities_count_by_frequency_in_train_and_by_sentence_length() -> None:
    table = slice_scores([2, 4], [1, 2])
    assert table[table["by"] == "words"]["slice"].tolist() == ["1", "2 to 3", "4 or more"]
    assert table[table["by"] == "train count"]["slice"].tolist() == ["0", "1", "2 or more"]
    assert [row(table, "train count", name)["gold"] for name in ("0", "1", "2 or more")] == [
        2,
        0,
        1,
    ]
    assert [row(table, "words", name)["gold"] for name in ("1", "2 to 3", "4 or more")] == [1, 0, 2]
    assert row(table, "words", "4 or more")["f1"] == pytest.approx(0.5)
    assert row(table, "words", "2 to 3")["predicted"] == 1


def test_without_edges_there_is_one_slice() -> None:
    table = slice_scores([], [])
    assert row(table, "words", "1 or more")["gold"] == 3


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
    assert expected_calibration_error(reliability(np.array([]), np.array([], bool), 10)) == 0.0


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
