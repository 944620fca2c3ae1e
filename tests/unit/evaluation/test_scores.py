"""Scores equal those of seqeval, nervaluate and plain counting."""

import random
from collections import Counter
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nervaluate import Evaluator
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from ner_mlflow.evaluation.counts import entity_counts, f1
from ner_mlflow.evaluation.scores import SEMEVAL, score, semeval_counts
from ner_mlflow.tagging.iob2 import repair

TYPES = ["ERROR", "OS", "SOFTWARE", "User_Interface_Element"]
TAGS = ["O", *(f"{prefix}-{type_}" for type_ in TYPES for prefix in "BI")]
Tags = list[list[str]]


def spans(sentences: Tags) -> Counter[tuple[int, str, int, int]]:
    """Return the entities as (sentence, type, first word, last word)."""
    entities: Counter[tuple[int, str, int, int]] = Counter()
    for index, tags in enumerate(sentences):
        for start, tag in enumerate(tags):
            if tag.startswith("B-"):
                last = start
                while last + 1 < len(tags) and tags[last + 1] == "I-" + tag[2:]:
                    last += 1
                entities[index, tag[2:], start, last] += 1
    return entities


def counted(gold: Tags, predicted: Tags) -> dict[str, float]:
    gold_spans, predicted_spans = spans(gold), spans(predicted)
    words = list(zip(chain(*gold), chain(*predicted), strict=True))
    scores = {"accuracy": sum(g == p for g, p in words) / len(words)}
    for type_ in ["", *{type_ for _, type_, _, _ in gold_spans | predicted_spans}]:
        right, support, given_ = (
            sum(1 for entity in entities if type_ in ("", entity[1]))
            for entities in (gold_spans & predicted_spans, gold_spans, predicted_spans)
        )
        precision, recall = right / given_ if given_ else 0.0, right / support if support else 0.0
        f1 = 2 * precision * recall / (precision + recall) if right else 0.0
        prefix = type_ and f"{type_}/"
        scores |= {
            f"{prefix}precision": precision,
            f"{prefix}recall": recall,
            f"{prefix}f1": f1,
            f"{prefix}support": float(support),
        }
    return scores


def generated(count: int, noise: float, seed: int) -> tuple[Tags, Tags]:
    """Return random sequences with entities of several words, and a copy with changed tags."""
    generator = random.Random(seed)
    gold, predicted = [], []
    for _ in range(count):
        tags: list[str] = []
        for _ in range(generator.randint(1, 6)):
            type_, length = generator.choice(TYPES), generator.randint(1, 3)
            tags += generator.choice(
                [["O"] * length, [f"B-{type_}", *[f"I-{type_}"] * (length - 1)]]
            )
        gold.append(tags)
        predicted.append(
            repair([generator.choice(TAGS) if generator.random() < noise else tag for tag in tags])
        )
    return gold, predicted


@pytest.mark.parametrize(("noise", "seed"), [(0.0, 1), (0.05, 2), (0.3, 3), (1.0, 4)])
def test_scores_of_thousands_of_sequences_are_those_of_plain_counting(
    noise: float, seed: int
) -> None:
    gold, predicted = generated(1500, noise, seed)
    scores = score(gold, predicted)
    assert scores == pytest.approx(counted(gold, predicted), abs=1e-12)
    assert (scores["f1"] == 1) == (noise == 0)


@pytest.mark.parametrize(("noise", "seed"), [(0.05, 5), (0.5, 6)])
def test_scores_are_those_of_seqeval(noise: float, seed: int) -> None:
    gold, predicted = generated(1000, noise, seed)
    report = classification_report(
        gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
    )
    scores = score(gold, predicted)
    for type_, prefix in [("micro avg", ""), *((type_, f"{type_}/") for type_ in TYPES)]:
        for key, name in (
            ("precision", "precision"),
            ("recall", "recall"),
            ("f1-score", "f1"),
            ("support", "support"),
        ):
            assert scores[prefix + name] == report[type_][key]


PAIRS = st.lists(
    st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=6),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=60)
@given(PAIRS)
def test_scores_of_any_valid_sequences_are_those_of_plain_counting(
    sentences: list[list[tuple[str, str]]],
) -> None:
    gold = [repair([tag for tag, _ in words]) for words in sentences]
    predicted = [repair([tag for _, tag in words]) for words in sentences]
    assert score(gold, predicted) == pytest.approx(counted(gold, predicted), abs=1e-12)


@pytest.mark.parametrize(
    ("gold", "predicted", "right"),
    [
        (["B-OS", "I-OS"], ["B-OS", "I-OS"], 1),
        (["B-OS", "I-OS"], ["B-OS", "O"], 0),
        (["B-OS", "I-OS"], ["B-OS", "B-OS"], 0),
        (["B-OS", "I-OS"], ["B-ERROR", "I-ERROR"], 0),
        (["B-OS", "B-OS"], ["B-OS", "B-OS"], 2),
        (["B-OS", "B-OS"], ["B-OS", "I-OS"], 0),
        (["O", "B-OS"], ["B-OS", "B-OS"], 1),
    ],
)
def test_only_the_same_words_with_the_same_type_are_right(
    gold: list[str], predicted: list[str], right: int
) -> None:
    scores = score([gold], [predicted])
    assert scores["recall"] * scores["support"] == pytest.approx(right)


@pytest.mark.parametrize("invalid", [["I-OS", "O"], ["I-OS", "I-OS"]])
def test_an_entity_without_a_b_tag_does_not_count_in_strict_mode(invalid: list[str]) -> None:
    assert score([["B-OS", *invalid[1:]]], [invalid])["f1"] == 0


def test_an_entity_in_another_sentence_is_not_right() -> None:
    assert score([["B-OS"], ["O"]], [["O"], ["B-OS"]])["f1"] == 0


def test_without_any_entity_scores_of_all_are_zero_and_no_type_is_listed() -> None:
    assert score([["O", "O"]], [["O", "O"]]) == {
        "f1": 0,
        "precision": 0,
        "recall": 0,
        "support": 0,
        "accuracy": 1,
    }


@pytest.mark.parametrize(
    ("gold", "predicted", "support"), [(["B-OS"], ["O"], 1), (["O"], ["B-OS"], 0)]
)
def test_a_type_in_gold_or_predicted_tags_alone_is_listed(
    gold: list[str], predicted: list[str], support: int
) -> None:
    of_types = {name: value for name, value in score([gold], [predicted]).items() if "/" in name}
    assert of_types == {"OS/f1": 0, "OS/precision": 0, "OS/recall": 0, "OS/support": support}


def test_tuples_and_lists_score_alike() -> None:
    assert score([("B-OS", "O")], [("B-OS", "O")]) == score([["B-OS", "O"]], [["B-OS", "O"]])


def test_no_warning_is_shown(recwarn: pytest.WarningsRecorder) -> None:
    score([["B-OS", "O"]], [["O", "B-ERROR"]])
    assert [str(warning.message) for warning in recwarn] == []


def conlleval_chunks(tags: list[str]) -> set[tuple[int, int, str]]:
    """Return the chunks of a sequence by the rules of CoNLL-2000's conlleval."""
    chunks, start, previous_prefix, previous_type = set(), -1, "O", ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, _, type_ = tag.partition("-")
        ends = previous_prefix in "BI" and (prefix in "BO" or previous_type != type_)
        begins = prefix == "B" or (
            prefix == "I" and (previous_prefix == "O" or previous_type != type_)
        )
        if ends and start >= 0:
            chunks.add((start, position, previous_type))
        if begins:
            start = position
        previous_prefix, previous_type = prefix, type_
    return chunks


@pytest.mark.parametrize("noise", [0.05, 0.3, 0.9])
def test_counts_give_the_f1_of_seqeval_and_of_conlleval(noise: float) -> None:
    gold, predicted = generated(600, noise, seed=round(100 * noise))
    counts = entity_counts(gold, predicted, TYPES)
    scores = score(gold, predicted)
    by_conlleval = [
        (conlleval_chunks(g), conlleval_chunks(p)) for g, p in zip(gold, predicted, strict=True)
    ]
    for index, type_ in enumerate([*TYPES, ""]):
        by_counts = float(f1(counts[:, index].sum(axis=0) if type_ else counts.sum(axis=(0, 1))))
        pairs = [
            ({c for c in g if type_ in ("", c[2])}, {c for c in p if type_ in ("", c[2])})
            for g, p in by_conlleval
        ]
        right, total = sum(len(g & p) for g, p in pairs), sum(len(g) + len(p) for g, p in pairs)
        assert by_counts == pytest.approx(scores[f"{type_}/f1" if type_ else "f1"])
        assert by_counts == pytest.approx(2 * right / total)


def test_semeval_measures_give_points_for_partly_correct_entities() -> None:
    gold = [["B-OS", "I-OS", "O", "B-ERROR"]]
    wrong_boundary, wrong_type = [["B-OS", "O", "O", "B-ERROR"]], [["B-OS", "I-OS", "O", "B-OS"]]
    by_boundary, by_type = (
        f1(semeval_counts(gold, predicted, ["ERROR", "OS"]).sum(axis=0))
        for predicted in (wrong_boundary, wrong_type)
    )
    assert dict(zip(SEMEVAL, by_boundary, strict=True)) == {
        "strict": 0.5,
        "exact": 0.5,
        "partial": 0.75,
        "type": 1.0,
    }
    assert dict(zip(SEMEVAL, by_type, strict=True)) == {
        "strict": 0.5,
        "exact": 1.0,
        "partial": 1.0,
        "type": 0.5,
    }


def test_semeval_counts_add_up_to_the_scores_of_nervaluate() -> None:
    gold, predicted = generated(400, 0.3, seed=9)
    scores = f1(semeval_counts(gold, predicted, TYPES).sum(axis=0))
    overall = Evaluator(gold, predicted, tags=TYPES, loader="list").evaluate()["overall"]
    assert scores.tolist() == pytest.approx([overall[name].f1 for name in SEMEVAL.values()])
