"""Batches by subwords: every window once an epoch, equal work, rare types more often."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.modeling.sampling import SubwordBatches, repeat_factors

LENGTHS = np.random.default_rng(3).integers(4, 120, 1000).tolist()


def drawn(batches: SubwordBatches, epoch: int = 0) -> list[list[int]]:
    batches.set_epoch(epoch)
    return list(batches)


@given(
    lengths=st.lists(st.integers(3, 500), min_size=1, max_size=200),
    batch_size=st.integers(1, 40),
    epoch=st.integers(0, 3),
)
def test_each_window_is_drawn_once_and_no_batch_is_empty(
    lengths: list[int], batch_size: int, epoch: int
) -> None:
    batches = SubwordBatches(lengths, batch_size, seed=7)
    epoch_batches = drawn(batches, epoch)
    assert sorted(index for batch in epoch_batches for index in batch) == list(range(len(lengths)))
    assert len(epoch_batches) == len(batches) == max(1, round(len(lengths) / batch_size))
    assert all(epoch_batches)


def test_batches_cost_the_same_and_pad_little() -> None:
    sizes = [
        (sum(LENGTHS[i] for i in batch), len(batch) * max(LENGTHS[i] for i in batch))
        for batch in drawn(SubwordBatches(LENGTHS, 32, seed=7))
    ]
    totals = [total for total, _ in sizes]
    assert max(totals) < 1.15 * np.mean(totals)
    assert sum(padded for _, padded in sizes) < 1.15 * sum(totals)


def test_each_epoch_and_seed_has_an_order_of_its_own() -> None:
    assert drawn(SubwordBatches(LENGTHS, 32, seed=7), 1) == drawn(
        SubwordBatches(LENGTHS, 32, seed=7), 1
    )
    assert drawn(SubwordBatches(LENGTHS, 32, seed=7), 1) != drawn(
        SubwordBatches(LENGTHS, 32, seed=7), 2
    )
    assert drawn(SubwordBatches(LENGTHS, 32, seed=7), 1) != drawn(
        SubwordBatches(LENGTHS, 32, seed=8), 1
    )


def test_long_and_short_batches_are_mixed() -> None:
    means = [
        np.mean([LENGTHS[i] for i in batch]) for batch in drawn(SubwordBatches(LENGTHS, 32, seed=7))
    ]
    assert means not in (sorted(means), sorted(means, reverse=True))


def test_a_window_is_drawn_as_often_as_its_factor() -> None:
    factors = np.where(np.arange(1000) < 100, 2.5, 1.0)
    batches = SubwordBatches(LENGTHS, 32, seed=7, factors=factors)
    counts = np.zeros(1000)
    for epoch in range(40):
        epoch_batches = drawn(batches, epoch)
        assert len(epoch_batches) == len(batches) == round(1150 / 32)
        np.add.at(counts, [index for batch in epoch_batches for index in batch], 1)
    assert (counts[100:] == 40).all()
    assert counts[:100].mean() / 40 == pytest.approx(2.5, abs=0.05)


def test_a_sentence_is_repeated_for_its_rarest_type() -> None:
    common = Sentence(("Java",), ("B-SOFTWARE",))
    rare = Sentence(("Java", "NPE"), ("B-SOFTWARE", "B-ERROR"))
    plain = Sentence(("hello",), ("O",))
    factors = repeat_factors([common] * 60 + [rare] * 4 + [plain] * 36, threshold=0.16)
    np.testing.assert_allclose(factors, [1.0] * 60 + [2.0] * 4 + [1.0] * 36)
