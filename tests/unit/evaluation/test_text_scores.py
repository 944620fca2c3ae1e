"""Scores in running text count characters: strict as in words where the cuts agree, or overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.data.running_text import running_texts
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.evaluation.counts import entity_counts
from ner_mlflow.evaluation.scores import score
from ner_mlflow.evaluation.significance import paired_permutation_test
from ner_mlflow.evaluation.text_answers import TextAnswer
from ner_mlflow.evaluation.text_scores import overlap_counts, score_texts, strict_counts
from ner_mlflow.tagging.iob2 import Entity, repair

TYPES = ("OS", "SW")
TAGS = ["O", "O", "B-OS", "I-OS", "B-SW", "I-SW"]
SENTENCES = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["Redis", "7.1", ".", "(", "Ü😀"]),
            st.sampled_from(TAGS),
            st.sampled_from(TAGS),
        ),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=5,
)


def answer(gold: list[Entity], predicted: list[Entity]) -> TextAnswer:
    return TextAnswer("d", "x" * 99, tuple(gold), tuple(predicted), (0.5,) * len(predicted))


@pytest.mark.parametrize(
    ("gold", "predicted", "strict", "overlap"),
    [
        pytest.param([(0, 5, "OS")], [(0, 5, "OS")], 1, 1, id="equal"),
        pytest.param([(0, 5, "OS")], [(0, 5, "SW")], 0, 0, id="another type"),
        pytest.param([(0, 5, "OS")], [(4, 9, "OS")], 0, 1, id="one shared character"),
        pytest.param([(0, 5, "OS")], [(5, 9, "OS")], 0, 0, id="beside"),
        pytest.param([(0, 9, "OS")], [(0, 4, "OS"), (5, 9, "OS")], 0, 1, id="cut in two"),
        pytest.param([(0, 4, "OS"), (5, 9, "OS")], [(0, 9, "OS")], 0, 1, id="joined"),
        # The other type shares more, but only entities of one type are paired.
        pytest.param([(0, 9, "OS")], [(0, 6, "SW"), (7, 9, "OS")], 0, 1, id="two types"),
    ],
)
def test_entities_are_counted_strictly_and_by_overlap(
    gold: list[tuple[int, int, str]],
    predicted: list[tuple[int, int, str]],
    strict: int,
    overlap: int,
) -> None:
    answers = [answer([Entity(*one) for one in gold], [Entity(*one) for one in predicted])]
    for counts, correct in (
        (strict_counts(answers, TYPES), strict),
        (overlap_counts(answers, TYPES), overlap),
    ):
        assert counts.shape == (1, 2, 3)
        assert counts.sum(axis=(0, 1)).tolist() == [correct, len(predicted), len(gold)]


def test_scores_are_micro_averages_and_scores_by_type_with_intervals() -> None:
    answers = [
        answer([Entity(0, 3, "OS"), Entity(4, 9, "SW")], [Entity(0, 3, "OS"), Entity(4, 8, "SW")]),
        answer([Entity(0, 3, "OS")], []),
        answer([], [Entity(1, 2, "OS")]),
    ]
    scores = score_texts(answers, (*TYPES, "V"), 200, 0.95, 1)
    assert (scores["precision"], scores["recall"]) == pytest.approx((1 / 3, 1 / 3))
    assert scores["f1"] == pytest.approx(1 / 3)
    assert scores["f1_low"] <= scores["f1"] <= scores["f1_high"]
    assert scores["overlap_f1"] == pytest.approx(2 / 3)
    assert (scores["support"], scores["OS/support"], scores["SW/support"]) == (3, 2, 1)
    assert (scores["SW/f1"], scores["SW/overlap_f1"]) == (0, 1)
    assert scores["OS/f1"] == scores["OS/precision"] == scores["OS/recall"] == 0.5
    assert not [name for name in scores if name.startswith("V/")]


def test_models_are_tested_pair_by_pair_on_texts() -> None:
    gold = [Entity(0, 3, "OS")]
    good = strict_counts([answer(gold, gold)] * 20, TYPES)
    bad = strict_counts([answer(gold, [])] * 20, TYPES)
    test = paired_permutation_test(good, bad, 500, 1)
    assert (test.difference, test.p_value < 0.01) == (1.0, True)
    with pytest.raises(ValueError, match="not scored on the same sentences"):
        paired_permutation_test(good, strict_counts([answer([], [])] * 20, TYPES), 500, 1)


@given(SENTENCES)
def test_strict_counts_in_text_are_those_in_words_where_the_cuts_agree(
    sentences: list[list[tuple[str, str, str]]],
) -> None:
    tokens = [tuple(word for word, _, _ in words) for words in sentences]
    gold = [tuple(repair([tag for _, tag, _ in words])) for words in sentences]
    found = [tuple(repair([tag for _, _, tag in words])) for words in sentences]
    right, wrong = (
        running_texts([Sentence(*pair) for pair in zip(tokens, tags, strict=True)]).texts
        for tags in (gold, found)
    )
    answers = [
        TextAnswer(g.name, g.text, g.entities, p.entities, (1.0,) * len(p.entities))
        for g, p in zip(right, wrong, strict=True)
    ]
    np.testing.assert_array_equal(strict_counts(answers, TYPES), entity_counts(gold, found, TYPES))
    in_words, in_text = score(gold, found), score_texts(answers, TYPES, 100, 0.95, 1)
    for name in ("f1", "precision", "recall", "support"):
        assert in_text[name] == pytest.approx(in_words[name])
    assert in_text["overlap_f1"] >= in_text["f1"]
