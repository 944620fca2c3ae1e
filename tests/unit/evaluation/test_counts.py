"""Scores of counts; a part of the data without entities has none."""

import numpy as np

from ner_mlflow.evaluation.counts import f1, precision, recall

COUNTS = np.array([(2, 4, 2), (0, 3, 0), (0, 0, 3), (0, 0, 0)])
"""Correct, predicted and gold entities: some right, only wrong ones, all missed, none at all."""


def test_there_is_no_recall_without_gold_and_no_precision_without_predicted_entities() -> None:
    np.testing.assert_array_equal(precision(COUNTS), [0.5, 0, np.nan, np.nan])
    np.testing.assert_array_equal(recall(COUNTS), [1, np.nan, 0, np.nan])
    np.testing.assert_array_equal(f1(COUNTS), [2 / 3, 0, 0, np.nan])


def test_the_f1_of_all_data_is_a_number() -> None:
    assert f1(COUNTS, 0).tolist() == [2 / 3, 0, 0, 0]
