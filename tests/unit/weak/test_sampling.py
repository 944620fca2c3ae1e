"""A sample is random, the same in every order, and holds documents of the whole source."""

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.weak.documents import Document
from ner_mlflow.weak.sampling import LARGEST, SmallestRanks, rank, sample_documents

DOCUMENTS = [Document(f"a.jsonl:{n}", f"text {n % 700}", f"/a.jsonl:{n}") for n in range(2000)]


def test_the_sample_is_spread_over_the_source_and_keeps_its_order() -> None:
    sample = list(sample_documents(iter(DOCUMENTS), 300, 13))
    numbers = [DOCUMENTS.index(document) for document in sample]
    assert numbers == sorted(numbers)
    assert len(sample) == 300
    quarters = np.histogram(numbers, bins=4, range=(0, 2000))[0]
    assert quarters.min() > 45  # 75 expected, standard deviation 7
    assert list(sample_documents(DOCUMENTS, 300, 13)) == sample
    assert list(sample_documents(DOCUMENTS, 300, 14)) != sample


def test_the_order_of_the_documents_does_not_change_the_sample() -> None:
    shuffled = Random(1).sample(DOCUMENTS, len(DOCUMENTS))
    assert set(sample_documents(shuffled, 50, 1)) == set(sample_documents(DOCUMENTS, 50, 1))


@pytest.mark.parametrize("size", [2000, 5000])
def test_a_sample_as_large_as_the_source_is_the_source(size: int) -> None:
    assert list(sample_documents(DOCUMENTS, size, 13)) == DOCUMENTS


def test_equal_documents_count_once() -> None:
    sample = list(sample_documents([DOCUMENTS[0]] * 500 + DOCUMENTS[:40], 40, 13))
    assert set(sample) == set(DOCUMENTS[:40])


def test_few_documents_wait_while_a_source_is_read() -> None:
    smallest = SmallestRanks(100)
    candidates = sum(smallest.add(rank(document, 13)) for document in DOCUMENTS)
    assert candidates < 100 * (3 + np.log(2000 / 100))


@given(st.lists(st.integers(0, 40) | st.just(LARGEST)), st.integers(1, 12))
def test_the_smallest_ranks_are_those_of_sorting(ranks: list[int], size: int) -> None:
    smallest = SmallestRanks(size)
    for each in ranks:
        smallest.add(each)
    expected = sorted(set(ranks))[:size]
    assert smallest.ranks().tolist() == expected
    assert smallest.limit == (expected[-1] if len(expected) == size else LARGEST)
    parts = [SmallestRanks(size, np.array(ranks[start::2], np.uint64)) for start in (0, 1)]
    both = np.concatenate([part.ranks() for part in parts])
    assert SmallestRanks(size, both).ranks().tolist() == expected


def test_documents_are_read_once() -> None:
    def once() -> Iterator[Document]:
        yield from DOCUMENTS

    stream = once()
    assert len(list(sample_documents(stream, 10, 13))) == 10
    assert next(stream, None) is None
