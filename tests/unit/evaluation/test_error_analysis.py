"""Errors of a prediction: matched one to one, counted and ranked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.evaluation.error_analysis import (
    CATEGORIES,
    ERROR_NAMES,
    Outcome,
    category_examples,
    category_table,
    entity_confusion,
    error_pairs,
    match,
    sentence_table,
    token_confusion,
    worst_sentences,
)
from ner_mlflow.tagging.iob2 import Entity, repair, to_entities

TYPES = ["ERROR", "OS"]
TAGS = ["O", "B-ERROR", "I-ERROR", "B-OS", "I-OS"]
SENTENCES = st.lists(
    st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=8),
    min_size=1,
    max_size=5,
)
Pairs = list[list[tuple[str, str]]]


def os(start: int, end: int) -> Entity:
    return Entity(start, end, "OS")


def error(start: int, end: int) -> Entity:
    return Entity(start, end, "ERROR")


def sides(sentences: Pairs) -> tuple[list[list[str]], list[list[str]]]:
    return [repair([tag for tag, _ in words]) for words in sentences], [
        repair([tag for _, tag in words]) for words in sentences
    ]


def matched(gold: list[list[str]], predicted: list[list[str]]) -> list[list[Outcome]]:
    return [match(to_entities(g), to_entities(p)) for g, p in zip(gold, predicted, strict=True)]


def tagged(text: str) -> Sentence:
    """Read a sentence such as ``Windows/B-OS crashed``; a word without a tag is outside."""
    words = [word.partition("/") for word in text.split()]
    return Sentence(
        tuple(word for word, _, _ in words),
        tuple(tag or "O" for _, _, tag in words),
        None,
        "file:1",
    )


@pytest.mark.parametrize(
    ("gold", "predicted", "outcomes"),
    [
        ([], [], []),
        ([os(0, 1)], [os(0, 1)], [(os(0, 1), os(0, 1))]),
        ([os(0, 1)], [error(0, 1)], [(os(0, 1), error(0, 1))]),
        ([os(0, 1)], [os(1, 2)], [(os(0, 1), None), (None, os(1, 2))]),
        ([os(0, 3)], [os(0, 1), os(1, 3)], [(os(0, 3), os(1, 3)), (None, os(0, 1))]),
        ([os(0, 2), os(2, 4)], [error(0, 4)], [(os(0, 2), error(0, 4)), (os(2, 4), None)]),
        (
            [os(0, 1), os(1, 4)],
            [error(0, 1), os(1, 2)],
            [(os(0, 1), error(0, 1)), (os(1, 4), os(1, 2))],
        ),
        ([os(0, 2), error(2, 3)], [os(1, 3)], [(os(0, 2), os(1, 3)), (error(2, 3), None)]),
    ],
    ids=[
        "nothing",
        "same",
        "other type",
        "beside",
        "most words",
        "earlier",
        "two pairs",
        "earlier of equals",
    ],
)
def test_entities_are_matched_by_overlap(
    gold: list[Entity], predicted: list[Entity], outcomes: list[tuple[Entity | None, Entity | None]]
) -> None:
    assert [(outcome.gold, outcome.predicted) for outcome in match(gold, predicted)] == outcomes


@settings(deadline=None, max_examples=60)
@given(SENTENCES)
def test_matching_is_one_to_one_exact_first_and_leaves_no_overlap(sentences: Pairs) -> None:
    gold, predicted = sides(sentences)
    for g, p, outcomes in zip(gold, predicted, matched(gold, predicted), strict=True):
        assert sorted(o.gold for o in outcomes if o.gold) == to_entities(g)
        assert sorted(o.predicted for o in outcomes if o.predicted) == to_entities(p)
        paired = [(o.gold, o.predicted) for o in outcomes if o.gold and o.predicted]
        assert all(left.start < right.end and right.start < left.end for left, right in paired)
        equal_spans = {(e.start, e.end) for e in to_entities(g)} & {
            (e.start, e.end) for e in to_entities(p)
        }
        assert equal_spans == {
            (left.start, left.end)
            for left, right in paired
            if (left.start, left.end) == (right.start, right.end)
        }
        missed, spurious = (
            [o.gold for o in outcomes if not o.predicted],
            [o.predicted for o in outcomes if not o.gold],
        )
        assert not any(
            left.start < right.end and right.start < left.end
            for left in missed
            for right in spurious
            if left and right
        )
        assert sum(o.correct for o in outcomes) == len(set(to_entities(g)) & set(to_entities(p)))


@settings(deadline=None, max_examples=40)
@given(SENTENCES)
def test_confusions_sum_up(sentences: Pairs) -> None:
    gold, predicted = sides(sentences)
    words = token_confusion(gold, predicted, TYPES)
    assert words.to_numpy().sum() == sum(map(len, gold))
    entities = entity_confusion(matched(gold, predicted), TYPES)
    for type_ in TYPES:
        assert words.loc[type_].sum() == sum(tag.endswith(type_) for tags in gold for tag in tags)
        assert words[type_].sum() == sum(tag.endswith(type_) for tags in predicted for tag in tags)
        assert entities.loc[type_].sum() == sum(
            tag == f"B-{type_}" for tags in gold for tag in tags
        )
        assert entities[type_].sum() == sum(
            tag == f"B-{type_}" for tags in predicted for tag in tags
        )
    assert entities.loc["O", "O"] == 0


def test_rows_of_a_confusion_are_gold() -> None:
    gold, predicted = [["B-OS", "I-OS", "O", "B-ERROR"]], [["B-ERROR", "B-OS", "B-OS", "O"]]
    words, entities = (
        token_confusion(gold, predicted, TYPES),
        entity_confusion(matched(gold, predicted), TYPES),
    )
    assert (
        list(words.index) == list(words.columns) == list(entities.columns) == ["ERROR", "OS", "O"]
    )
    assert words.index.name == "gold"
    assert words.to_numpy().tolist() == [[0, 0, 1], [1, 1, 0], [0, 1, 0]]
    assert entities.to_numpy().tolist() == [[0, 0, 1], [1, 0, 0], [0, 2, 0]]


GOLD = [
    tagged("on Windows/B-OS 10/I-OS"),
    tagged("Windows/B-OS 10/I-OS again"),
    tagged("all good"),
    tagged("Bash/B-OS and Zsh/B-OS"),
    tagged("right Debian/B-OS"),
]
PREDICTED = [
    ["O", "B-OS", "O"],
    ["B-OS", "O", "O"],
    ["O", "B-ERROR"],
    ["O", "O", "B-ERROR"],
    ["O", "B-OS"],
]
OUTCOMES = matched([list(sentence.tags) for sentence in GOLD], PREDICTED)


def test_frequent_errors_come_first_and_equally_frequent_ones_in_alphabetical_order() -> None:
    assert error_pairs(GOLD, OUTCOMES, limit=9).to_numpy().tolist() == [
        ["OS", "Windows 10", "OS", "Windows", 2, "on Windows 10"],
        ["O", "", "ERROR", "good", 1, "all good"],
        ["OS", "Bash", "O", "", 1, "Bash and Zsh"],
        ["OS", "Zsh", "ERROR", "Zsh", 1, "Bash and Zsh"],
    ]


def test_the_table_of_errors_is_cut_after_its_limit() -> None:
    assert len(error_pairs(GOLD, OUTCOMES, limit=1)) == 1
    empty = error_pairs(GOLD[4:], OUTCOMES[4:], limit=9)
    assert list(empty.columns) == [
        "gold",
        "gold_text",
        "predicted",
        "predicted_text",
        "count",
        "first_sentence",
    ]
    assert len(empty) == 0


def test_the_worst_sentences_have_most_errors_and_shorter_ones_come_first() -> None:
    assert worst_sentences(GOLD, OUTCOMES, limit=9) == [3, 2, 0, 1]
    assert worst_sentences(GOLD, OUTCOMES, limit=2) == [3, 2]
    assert worst_sentences(GOLD[4:], OUTCOMES[4:], limit=2) == []


def test_the_table_of_sentences_lists_gold_and_predicted_entities_in_order() -> None:
    assert sentence_table(GOLD, OUTCOMES, [3, 0]).to_dict("records") == [
        {
            "errors": 2,
            "sentence": "Bash and Zsh",
            "gold": "Bash [OS]; Zsh [OS]",
            "predicted": "Zsh [ERROR]",
            "origin": "file:1",
        },
        {
            "errors": 1,
            "sentence": "on Windows 10",
            "gold": "Windows 10 [OS]",
            "predicted": "Windows [OS]",
            "origin": "file:1",
        },
    ]
    assert list(sentence_table(GOLD, OUTCOMES, []).columns) == [
        "errors",
        "sentence",
        "gold",
        "predicted",
        "origin",
    ]


@pytest.mark.parametrize(
    ("gold", "predicted", "category"),
    [
        (os(0, 2), os(0, 2), "correct"),
        (os(0, 2), os(0, 1), "boundary"),
        (os(0, 2), error(0, 2), "type"),
        (os(0, 2), error(1, 3), "both"),
        (os(0, 2), None, "missed"),
        (None, os(0, 2), "spurious"),
    ],
)
def test_an_outcome_has_one_category(
    gold: Entity | None, predicted: Entity | None, category: str
) -> None:
    assert Outcome(gold, predicted).category == category


@given(SENTENCES)
def test_every_outcome_counts_in_one_category(sentences: Pairs) -> None:
    gold, predicted = sides(sentences)
    outcomes = matched(gold, predicted)
    table = category_table(outcomes, TYPES).set_index("entity_type")
    assert table.loc["all"].sum() == sum(len(sentence) for sentence in outcomes)
    gold_entities = sum(tag == "B-OS" for tags in gold for tag in tags)
    assert (
        table.loc["OS", [category for category in CATEGORIES if category != "spurious"]].sum()
        == gold_entities
    )
    # The examples of an error are exactly the sentences with that error.
    examples = category_examples(outcomes, TYPES, limit=100)
    for heading, indices in examples.items():
        type_, name = heading.partition(":")[0].split(", ")
        category = next(key for key, value in ERROR_NAMES.items() if value == name)
        assert indices == [
            i
            for i, sentence in enumerate(outcomes)
            if any((o.type, o.category) == (type_, category) for o in sentence)
        ]
    assert {index for indices in examples.values() for index in indices} == {
        i for i, sentence in enumerate(outcomes) if any(not o.correct for o in sentence)
    }
