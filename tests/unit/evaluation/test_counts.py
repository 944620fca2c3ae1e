"""Scores of counts; a part of the data without entities has none."""

import numpy as np

from ner_mlflow.evaluation.counts import f1, precision, recall

COUNTS = np.array([(2, 4, 2), (0, 3, 0), (0, 0, 3), (0, 0, 0)])
"""Correct, predicted and gold entities: some right, only wrong ones, all missed, none at all."""


def test_scores_without_gold_and_predicted_entities_are_unknown_and_others_are_numbers() -> None:
    assert precision(COUNTS)[:3].tolist() == [0.5, 0, 0]
    assert recall(COUNTS)[:3].tolist() == [1, 0, 0]
    assert f1(COUNTS)[:3].tolist() == [2 / 3, 0, 0]
    assert np.isnan([precision(COUNTS)[3], recall(COUNTS)[3], f1(COUNTS)[3]]).all()


def test_the_f1_of_all_data_is_a_number() -> None:
    assert f1(COUNTS, 0).tolist() == [2 / 3, 0, 0, 0]
