"""Whether a difference of F1 means something: bootstrap intervals of one model, a paired permutation test of two."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .counts import f1

CHUNK = 500
"""Resamples drawn at once: bounds memory to a few tens of megabytes for thousands of sentences."""


@dataclass(frozen=True)
class Interval:
    """The middle ``confidence`` of F1 over resamples."""

    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """F1 of the first model less that of the second, and how often chance alone gives a difference as large."""

    difference: float
    p_value: float


def bootstrap_intervals(
    counts: NDArray[np.number], resamples: int, confidence: float, seed: int
) -> list[Interval]:
    """Percentile bootstrap intervals of the F1 of each group of entities (a type, all types, a slice, ...).

    Sentences are drawn with replacement, as many as there are (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
    chapter 13). Drawing sentences, not entities, keeps what depends on each other together.

    Args:
        counts: shape (sentences, groups, 3), of :func:`~ner_mlflow.evaluation.counts.entity_counts`, say.
        resamples: samples drawn.
        confidence: share of the samples inside the interval, such as 0.95.
        seed: of the drawing.
    """
    sentences, groups = counts.shape[:2]
    flat = counts.reshape(sentences, -1).astype(np.float32)
    random = np.random.default_rng(seed)
    sums = np.concatenate(
        [_drawn(random, size, sentences) @ flat for size in _chunks(resamples)]
    ).reshape(resamples, groups, 3)
    lows, highs = np.quantile(f1(sums), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return [Interval(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]


def paired_permutation_test(
    first: NDArray[np.int64], second: NDArray[np.int64], resamples: int, seed: int
) -> PairedTest:
    """Two-sided test of the hypothesis that two models' answers to each sentence could be swapped (approximate randomisation).

    Yeh, "More accurate tests for the statistical significance of result differences", COLING 2000. The observed assignment counts
    as one of the permutations, so ``p_value`` is never 0.

    Args:
        first: shape (sentences, types, 3), of :func:`~ner_mlflow.evaluation.counts.entity_counts`.
        second: of the other model on the same sentences.
        resamples: permutations drawn.
        seed: of the drawing.

    Raises:
        ValueError: the two do not count the same gold entities.
    """
    if first.shape != second.shape or (first[..., 2] != second[..., 2]).any():
        raise ValueError("the two models were not scored on the same sentences")
    one, other = first.sum(axis=1), second.sum(axis=1)
    observed = float(f1(one.sum(axis=0)) - f1(other.sum(axis=0)))
    change = (other - one).astype(np.float32)
    change = change[change.any(axis=1)]  # sentences whose swap changes something
    random = np.random.default_rng(seed)
    as_extreme = 1
    for size in _chunks(resamples):
        moved = (
            random.integers(0, 2, (size, len(change)), dtype=np.int8).astype(np.float32) @ change
        )
        differences = f1(one.sum(axis=0) + moved) - f1(other.sum(axis=0) - moved)
        as_extreme += int((np.abs(differences) >= abs(observed) - 1e-12).sum())
    return PairedTest(observed, as_extreme / (resamples + 1))


def _drawn(random: np.random.Generator, samples: int, sentences: int) -> NDArray[np.float32]:
    """How often each sentence is in each sample; shape (samples, sentences)."""
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
