"""Passages: every sentence is in one, in order, and none is too long or crosses a document."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.tagging.passages import passages

SENTENCES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), max_size=30)
LIMITS = (st.integers(1, 6), st.integers(1, 60))


@settings(deadline=None)
@given(SENTENCES, *LIMITS)
def test_each_sentence_is_in_one_passage_in_order(
    sentences: list[tuple[int, int]], most_sentences: int, most_pieces: int
) -> None:
    lengths, documents = [length for length, _ in sentences], [name for _, name in sentences]
    groups = list(passages(lengths, documents, most_sentences, most_pieces))
    assert [index for group in groups for index in group] == list(range(len(sentences)))
    assert all(groups)


@settings(deadline=None)
@given(SENTENCES, *LIMITS)
def test_a_passage_keeps_to_one_document_and_to_the_limits(
    sentences: list[tuple[int, int]], most_sentences: int, most_pieces: int
) -> None:
    lengths, documents = [length for length, _ in sentences], [name for _, name in sentences]
    for group in passages(lengths, documents, most_sentences, most_pieces):
        assert len(group) <= most_sentences
        assert len({documents[index] for index in group}) == 1
        assert len(group) == 1 or sum(lengths[index] for index in group) <= most_pieces


@settings(deadline=None)
@given(SENTENCES, *LIMITS)
def test_a_passage_ends_only_where_the_next_sentence_does_not_fit(
    sentences: list[tuple[int, int]], most_sentences: int, most_pieces: int
) -> None:
    lengths, documents = [length for length, _ in sentences], [name for _, name in sentences]
    for group, following in pairwise(passages(lengths, documents, most_sentences, most_pieces)):
        pieces = sum(lengths[index] for index in group)
        assert (
            len(group) == most_sentences
            or pieces + lengths[following.start] > most_pieces
            or documents[following.start] != documents[group.start]
        )


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        (None, [range(2), range(2, 4), range(4, 5)]),
        (["a", "a", "a", "b", "b"], [range(2), range(2, 3), range(3, 5)]),
        ([None] * 5, [range(2), range(2, 4), range(4, 5)]),
    ],
)
def test_sentences_without_documents_belong_to_one(
    documents: list[str | None] | None, expected: list[range]
) -> None:
    assert list(passages([1] * 5, documents, 2, 10)) == expected


def test_a_sentence_longer_than_a_passage_stands_alone() -> None:
    assert list(passages([3, 50, 3, 3], None, 8, 10)) == [range(1), range(1, 2), range(2, 4)]
