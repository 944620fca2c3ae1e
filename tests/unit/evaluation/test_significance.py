"""Intervals and tests of significance, against slower computations and known error rates."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from ner_mlflow.evaluation.counts import entity_counts, f1, prepend_total
from ner_mlflow.evaluation.significance import (
    Interval,
    bootstrap_intervals,
    paired_permutation_test,
)

Counts = NDArray[np.int64]


def simulated(
    sentences: int, recall: float, seed: int, gold_seed: int = 0, types: int = 2
) -> Counts:
    """Simulate the counts of a model with this recall and about the same precision."""
    gold = np.random.default_rng(gold_seed).poisson(0.4, (sentences, types))
    random = np.random.default_rng(seed)
    correct = random.binomial(gold, recall)
    return np.stack(
        [correct, correct + random.poisson(0.4 * (1 - recall), (sentences, types)), gold], axis=-1
    )


def test_entities_are_counted_by_sentence_and_type() -> None:
    counts = entity_counts(
        [["B-OS", "I-OS", "B-ERROR"], ["O"]], [["B-OS", "I-OS", "O"], ["B-OS"]], ["ERROR", "OS"]
    )
    assert counts.tolist() == [[[0, 0, 1], [1, 1, 1]], [[0, 0, 0], [0, 1, 0]]]
    assert f1(counts.sum(axis=(0, 1))) == pytest.approx(2 * 1 / (2 + 2))


def test_an_interval_equals_one_from_samples_drawn_one_by_one() -> None:
    counts = simulated(60, 0.7, 1)
    random = np.random.default_rng(2)
    scores = [f1(counts[random.integers(0, 60, 60)].sum(axis=(0, 1))) for _ in range(4000)]
    overall, *by_type = bootstrap_intervals(prepend_total(counts), 4000, 0.9, seed=3)
    assert [overall.low, overall.high] == pytest.approx(np.quantile(scores, [0.05, 0.95]), abs=0.01)
    assert len(by_type) == 2
    assert by_type[0].high - by_type[0].low > overall.high - overall.low


def test_an_interval_covers_the_truth_at_its_confidence_level() -> None:
    truth = float(f1(simulated(200_000, 0.7, 1).sum(axis=(0, 1))))
    covered = 0
    for seed in range(200):
        overall, *_ = bootstrap_intervals(
            prepend_total(simulated(300, 0.7, seed + 1, gold_seed=seed + 1)), 400, 0.9, seed=seed
        )
        covered += overall.low <= truth <= overall.high
    assert 165 <= covered <= 195  # 180 expected


def test_the_same_seed_gives_the_same_interval() -> None:
    counts = simulated(50, 0.6, 1)
    assert bootstrap_intervals(counts, 1000, 0.95, 5) == bootstrap_intervals(counts, 1000, 0.95, 5)


def test_a_group_without_entities_has_no_interval_and_all_data_have_one_of_zero() -> None:
    interval, _ = bootstrap_intervals(np.zeros((10, 2, 3), np.int64), 100, 0.95, 5)
    assert np.isnan([interval.low, interval.high]).all()
    assert interval.of_all == Interval(0.0, 0.0)
    assert Interval(0.2, 0.4).of_all == Interval(0.2, 0.4)


def test_samples_without_the_entities_of_a_group_say_nothing_about_it() -> None:
    counts = np.zeros((10, 1, 3), np.int64)
    counts[0] = 1  # one entity, found: a third of all samples draw its sentence never
    (interval,) = bootstrap_intervals(counts, 500, 0.95, 5)
    assert (interval.low, interval.high) == (1.0, 1.0)


def test_a_p_value_is_close_to_that_of_all_permutations() -> None:
    first, second = simulated(12, 0.9, 1), simulated(12, 0.5, 2)
    totals, other_totals = first.sum(axis=1), second.sum(axis=1)
    observed = abs(f1(totals.sum(axis=0)) - f1(other_totals.sum(axis=0)))
    swaps = np.array(np.meshgrid(*[[0, 1]] * 12)).reshape(12, -1).T
    shift = swaps @ (other_totals - totals)
    differences = np.abs(f1(totals.sum(axis=0) + shift) - f1(other_totals.sum(axis=0) - shift))
    exact = float((differences >= observed - 1e-12).mean())
    assert paired_permutation_test(first, second, 20_000, seed=3).p_value == pytest.approx(
        exact, abs=0.015
    )


def test_a_clear_difference_is_significant_and_a_model_does_not_differ_from_itself() -> None:
    better, worse = simulated(2000, 0.8, 1), simulated(2000, 0.7, 2)
    test = paired_permutation_test(better, worse, 2000, seed=3)
    assert test.difference == pytest.approx(
        float(f1(better.sum(axis=(0, 1))) - f1(worse.sum(axis=(0, 1))))
    )
    assert test.difference > 0
    assert test.p_value < 0.01
    reverse = paired_permutation_test(worse, better, 2000, seed=3)
    assert reverse.difference == -test.difference
    assert paired_permutation_test(better, better, 500, seed=3).p_value == 1.0


def test_equal_models_differ_significantly_at_the_rate_of_the_level() -> None:
    p_values = [
        paired_permutation_test(
            simulated(200, 0.7, seed), simulated(200, 0.7, 1000 + seed), 300, seed
        ).p_value
        for seed in range(1, 201)
    ]
    assert 2 <= sum(p <= 0.05 for p in p_values) <= 20  # 10 expected


def test_models_scored_on_other_sentences_are_not_compared() -> None:
    with pytest.raises(ValueError, match="not scored on the same sentences"):
        paired_permutation_test(simulated(10, 0.7, 1), simulated(10, 0.7, 1, gold_seed=5), 100, 1)


def test_ten_thousand_resamples_of_a_test_split_take_seconds() -> None:
    first, second = simulated(3108, 0.8, 1, types=5), simulated(3108, 0.79, 2, types=5)
    started = time.process_time()
    bootstrap_intervals(prepend_total(first), 10_000, 0.95, 1)
    paired_permutation_test(first, second, 10_000, 1)
    assert time.process_time() - started < 20  # the goal is 10 for each; about 1 is usual
