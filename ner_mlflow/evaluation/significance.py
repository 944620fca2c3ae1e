"""Test significance: bootstrap intervals of F1, and a paired permutation test of two models."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .counts import f1

CHUNK = 500
"""Resamples drawn at once: keeps memory to tens of megabytes for thousands of sentences."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval of F1; both ends are NaN where F1 is."""

    low: float
    high: float

    @property
    def of_all(self) -> "Interval":
        """The interval of all data: 0 to 0 without any entity, as its F1 is 0."""
        return Interval(0.0, 0.0) if np.isnan(self.low) else self


@dataclass(frozen=True)
class PairedTest:
    """The result of a paired test of two models.

    Attributes:
        difference: F1 of the first model minus F1 of the second.
        p_value: the probability of a difference as large, in either direction, by chance.
    """

    difference: float
    p_value: float


def bootstrap_intervals(
    counts: NDArray[np.number], resamples: int, confidence: float, seed: int
) -> list[Interval]:
    """Return percentile bootstrap intervals of F1, one for each group (a type, a slice, ...).

    Each sample draws as many sentences as there are, with replacement (Efron and Tibshirani, "An
    Introduction to the Bootstrap", 1993, chapter 13). Sentences are drawn, not entities, because
    the entities of one sentence are not independent. A sample without any entity of a group says
    nothing about it, and is left out of its interval.

    Args:
        counts: shape (sentences, groups, 3), for example from
            :func:`~ner_mlflow.evaluation.counts.entity_counts`.
        resamples: the number of samples.
        confidence: share of the samples inside the interval, such as 0.95.
        seed: of the draws.
    """
    sentences, groups = counts.shape[:2]
    flat = counts.reshape(sentences, -1).astype(np.float32)
    random = np.random.default_rng(seed)
    sums = np.concatenate(
        [_draw(random, size, sentences) @ flat for size in _chunks(resamples)]
    ).reshape(resamples, groups, 3)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    return [_interval(of_group[~np.isnan(of_group)], ends) for of_group in f1(sums).T]


def paired_permutation_test(
    first: NDArray[np.int64], second: NDArray[np.int64], resamples: int, seed: int
) -> PairedTest:
    """Test whether two models differ in F1 (approximate randomisation, two-sided).

    Under the null hypothesis the two models' predictions for a sentence can be swapped: Yeh, "More
    accurate tests for the statistical significance of result differences", COLING 2000. The
    observed assignment counts as one of the permutations, so ``p_value`` is never 0.

    Args:
        first: shape (sentences, types, 3), from
            :func:`~ner_mlflow.evaluation.counts.entity_counts`.
        second: of the other model on the same sentences.
        resamples: the number of permutations.
        seed: of the draws.

    Raises:
        ValueError: the two do not count the same gold entities.
    """
    if first.shape != second.shape or (first[..., 2] != second[..., 2]).any():
        raise ValueError("the two models were not scored on the same sentences")
    first_totals, second_totals = first.sum(axis=1), second.sum(axis=1)
    observed = float(f1(first_totals.sum(axis=0), 0) - f1(second_totals.sum(axis=0), 0))
    change = (second_totals - first_totals).astype(np.float32)
    change = change[change.any(axis=1)]  # swapping equal sentences changes nothing
    random = np.random.default_rng(seed)
    as_extreme = 1
    for size in _chunks(resamples):
        shift = (
            random.integers(0, 2, (size, len(change)), dtype=np.int8).astype(np.float32) @ change
        )
        differences = f1(first_totals.sum(axis=0) + shift, 0) - f1(
            second_totals.sum(axis=0) - shift, 0
        )
        as_extreme += int((np.abs(differences) >= abs(observed) - 1e-12).sum())
    return PairedTest(observed, as_extreme / (resamples + 1))


def _interval(scores: NDArray[np.float64], ends: Sequence[float]) -> Interval:
    low, high = np.quantile(scores, ends) if len(scores) else (np.nan, np.nan)
    return Interval(float(low), float(high))


def _draw(random: np.random.Generator, samples: int, sentences: int) -> NDArray[np.float32]:
    """Draw samples; return how often each holds each sentence, shape (samples, sentences)."""
    drawn = (
        random.integers(0, sentences, (samples, sentences))
        + sentences * np.arange(samples)[:, None]
    )
    return (
        np.bincount(drawn.ravel(), minlength=samples * sentences)
        .reshape(samples, sentences)
        .astype(np.float32)
    )


def _chunks(total: int) -> Iterator[int]:
    for start in range(0, total, CHUNK):
        yield min(CHUNK, total - start)
