"""Decoding, against a search through all valid sequences."""

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import log_softmax as scipy_log_softmax

from ner_mlflow.tagging.decoding import Iob2Decoder, Transitions, log_softmax
from ner_mlflow.tagging.iob2 import invalid_positions

LABELS = ("O", "B-OS", "I-OS", "B-ERROR", "I-ERROR")
Scores = NDArray[np.float32]


def valid_sequences(words: int) -> NDArray[np.int64]:
    sequences = product(range(len(LABELS)), repeat=words)
    return np.array(
        [ids for ids in sequences if not invalid_positions([LABELS[id_] for id_ in ids])]
    )


VALID = {words: valid_sequences(words) for words in range(1, 5)}


def logits(min_words: int = 1, max_words: int = 4) -> st.SearchStrategy[Scores]:
    shapes = st.tuples(st.integers(min_words, max_words), st.just(len(LABELS)))
    return arrays(np.float32, shapes, elements=st.floats(-20, 20, width=32), fill=st.nothing())


def total(scores: Scores, ids: NDArray[np.int64]) -> float:
    return float(scores.astype(np.float64)[np.arange(len(scores)), ids].sum())


def test_the_number_of_valid_sequences_is_as_counted_by_hand() -> None:
    assert [len(VALID[words]) for words in (1, 2)] == [3, 11]


@settings(deadline=None, max_examples=200)
@given(logits())
def test_the_decoded_sequence_is_the_best_of_all_valid_ones(scores: Scores) -> None:
    decoded = Iob2Decoder(LABELS).decode(scores)
    best = scores.astype(np.float64)[np.arange(len(scores)), VALID[len(scores)]].sum(axis=1).max()
    assert decoded.tolist() in VALID[len(scores)].tolist()
    assert total(scores, decoded) == pytest.approx(best, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(logits(1, 30))
def test_decoded_tags_are_valid(scores: Scores) -> None:
    decoded = Iob2Decoder(LABELS).decode(scores)
    assert decoded.shape == (len(scores),)
    assert invalid_positions([LABELS[id_] for id_ in decoded]) == []


@settings(deadline=None, max_examples=60)
@given(logits())
def test_word_wise_best_tags_are_the_answer_where_they_are_valid(scores: Scores) -> None:
    best = scores.argmax(axis=-1)
    assume(best.tolist() in VALID[len(scores)].tolist())
    assert Iob2Decoder(LABELS).decode(scores).tolist() == best.tolist()


@pytest.mark.parametrize(
    ("scores", "tags"),
    [
        ([[0, 1, 5, 0, 0]], ["B-OS"]),
        ([[9, 1, 0, 0, 0], [0, 1, 5, 0, 0]], ["O", "B-OS"]),
        ([[2, 1, 0, 0, 0], [0, 1, 9, 0, 0]], ["B-OS", "I-OS"]),
        ([[0, 9, 0, 0, 0], [0, 0, 0, 0, 5], [0, 0, 0, 0, 5]], ["B-OS", "B-ERROR", "I-ERROR"]),
        ([[0, 5, 0, 4, 0], [0, 0, 0, 0, 9], [0, 0, 0, 0, 9]], ["B-ERROR", "I-ERROR", "I-ERROR"]),
    ],
)
def test_an_inside_tag_that_nothing_precedes_changes_what_is_cheapest(
    scores: list[list[float]], tags: list[str]
) -> None:
    assert [LABELS[id_] for id_ in Iob2Decoder(LABELS).decode(np.array(scores, np.float32))] == tags


def test_the_order_of_labels_does_not_matter() -> None:
    scores = np.random.default_rng(3).normal(size=(20, len(LABELS))).astype(np.float32)
    order = [4, 2, 0, 3, 1]
    shuffled = Iob2Decoder([LABELS[index] for index in order])
    expected = [LABELS[id_] for id_ in Iob2Decoder(LABELS).decode(scores)]
    assert [shuffled.labels[id_] for id_ in shuffled.decode(scores[:, order])] == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(logits(0, 5), max_size=6))
def test_many_sentences_are_decoded_as_each_alone(scores: list[Scores]) -> None:
    decoder = Iob2Decoder(LABELS)
    assert [ids.tolist() for ids in decoder.decode_all(scores)] == [
        decoder.decode(values).tolist() for values in scores
    ]


def test_a_sentence_without_words_has_no_tags() -> None:
    assert Iob2Decoder(LABELS).decode(np.zeros((0, len(LABELS)), np.float32)).tolist() == []


def test_a_model_with_the_label_outside_alone_answers_outside() -> None:
    assert Iob2Decoder(["O"]).decode(np.zeros((3, 1), np.float32)).tolist() == [0, 0, 0]


@settings(deadline=None, max_examples=60)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6)),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_log_softmax_agrees_with_scipy(values: Scores) -> None:
    computed = log_softmax(values)
    assert computed.shape == values.shape
    np.testing.assert_allclose(
        computed, scipy_log_softmax(values.astype(np.float64), axis=-1), rtol=1e-5, atol=2e-3
    )
    assert (computed <= 0).all()


@settings(deadline=None, max_examples=60)
@given(logits())
def test_log_softmax_of_usual_logits_is_exact_to_single_precision(values: Scores) -> None:
    np.testing.assert_allclose(
        log_softmax(values),
        scipy_log_softmax(values.astype(np.float64), axis=-1),
        rtol=1e-5,
        atol=1e-5,
    )


def transitions() -> st.SearchStrategy[Transitions]:
    score = st.floats(-5, 5)
    row = st.tuples(*[score] * len(LABELS))
    return st.builds(Transitions, row, st.tuples(*[row] * len(LABELS)))


def path_scores(scores: Scores, by: Transitions) -> NDArray[np.float64]:
    """Return the score of every valid sequence."""
    sequences = VALID[len(scores)]
    steps = np.array(by.steps)[sequences[:, :-1], sequences[:, 1:]].sum(axis=1)
    return (
        scores.astype(np.float64)[np.arange(len(scores)), sequences].sum(axis=1)
        + np.array(by.starts)[sequences[:, 0]]
        + steps
    )


@settings(deadline=None, max_examples=200)
@given(logits(), transitions())
def test_with_transitions_too_the_decoded_sequence_is_the_best_of_all_valid_ones(
    scores: Scores, by: Transitions
) -> None:
    decoded = Iob2Decoder(LABELS, by).decode(scores)
    paths = path_scores(scores, by)
    index = VALID[len(scores)].tolist().index(decoded.tolist())
    assert paths[index] == pytest.approx(paths.max(), abs=1e-5)


@settings(deadline=None, max_examples=200)
@given(logits(), transitions())
def test_marginals_are_the_sums_over_all_valid_sequences(scores: Scores, by: Transitions) -> None:
    marginals = np.exp(Iob2Decoder(LABELS, by).log_marginals(scores))
    paths = path_scores(scores, by)
    probabilities = np.exp(paths - np.logaddexp.reduce(paths))
    expected = np.zeros(scores.shape)
    for sequence, probability in zip(VALID[len(scores)], probabilities, strict=True):
        expected[np.arange(len(scores)), sequence] += probability
    np.testing.assert_allclose(marginals, expected, atol=1e-5)


def test_marginals_of_a_sentence_without_words_are_empty() -> None:
    assert Iob2Decoder(LABELS).log_marginals(np.zeros((0, len(LABELS)), np.float32)).shape == (
        0,
        len(LABELS),
    )
