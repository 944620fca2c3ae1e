"""IOB2: the codec between tags and entities, compared with seqeval."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities

from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import (
    Entity,
    invalid_positions,
    repair,
    split_tag,
    to_entities,
    to_tags,
)

TYPES = ["OS", "SOFTWARE", "Data_Type", "B-x", "O"]
TAGS = ["O", *(f"{prefix}-{type_}" for type_ in TYPES for prefix in "BI")]
SEGMENTS = st.lists(st.tuples(st.sampled_from(["", *TYPES]), st.integers(1, 3)), max_size=8)
"""(type, number of words): an entity, or words outside if the type is empty."""
ANY_TAGS = st.lists(st.sampled_from(TAGS), max_size=10)


def laid_out(segments: list[tuple[str, int]]) -> tuple[list[str], list[Entity]]:
    tags: list[str] = []
    entities = []
    for type_, words in segments:
        if type_:
            entities.append(Entity(len(tags), len(tags) + words, type_))
        tags += [f"B-{type_}", *[f"I-{type_}"] * (words - 1)] if type_ else ["O"] * words
    return tags, entities


@settings(deadline=None, max_examples=60)
@given(SEGMENTS, st.randoms(use_true_random=False))
def test_entities_become_their_tags_in_whatever_order_they_are_given(
    segments: list[tuple[str, int]], random: Random
) -> None:
    tags, entities = laid_out(segments)
    shuffled = list(entities)
    random.shuffle(shuffled)
    assert to_tags(shuffled, len(tags)) == tags


@settings(deadline=None, max_examples=60)
@given(SEGMENTS)
def test_valid_tags_become_their_entities_and_back(segments: list[tuple[str, int]]) -> None:
    tags, entities = laid_out(segments)
    assert invalid_positions(tags) == []
    assert repair(tags) == tags
    assert to_entities(tags) == entities
    assert to_tags(to_entities(tags), len(tags)) == tags


@settings(deadline=None, max_examples=60)
@given(SEGMENTS)
def test_seqeval_reads_the_same_entities_in_strict_iob2(segments: list[tuple[str, int]]) -> None:
    tags, _ = laid_out(segments)
    theirs = [
        Entity(entity.start, entity.end, entity.tag)
        for entity in Entities([tags], IOB2).entities[0]
    ]
    assert to_entities(tags) == theirs


@settings(deadline=None, max_examples=60)
@given(ANY_TAGS)
def test_repaired_tags_are_valid_and_only_invalid_tags_change(tags: list[str]) -> None:
    repaired = repair(tags)
    assert invalid_positions(repaired) == []
    assert repair(repaired) == repaired
    changed = [
        position
        for position, (old, new) in enumerate(zip(tags, repaired, strict=True))
        if old != new
    ]
    assert changed == invalid_positions(tags)
    assert all(tags[position] == "I" + repaired[position][1:] for position in changed)


@settings(deadline=None, max_examples=60)
@given(ANY_TAGS)
def test_repair_finds_the_chunks_of_conlleval(tags: list[str]) -> None:
    theirs = [Entity(start, last + 1, type_) for type_, start, last in get_entities(tags)]
    assert to_entities(repair(tags)) == theirs


@pytest.mark.parametrize(
    ("tags", "positions"),
    [
        ([], []),
        (["I-OS"], [0]),
        (["B-OS", "I-OS", "I-OS"], []),
        (["B-OS", "I-SOFTWARE", "I-SOFTWARE"], [1]),
        (["B-OS", "O", "I-OS"], [2]),
        (["I-OS", "I-SOFTWARE", "I-OS"], [0, 1, 2]),
    ],
)
def test_an_inside_tag_must_continue_its_own_type(tags: list[str], positions: list[int]) -> None:
    assert invalid_positions(tags) == positions


@pytest.mark.parametrize(
    ("tag", "parts"),
    [("O", ("O", "")), ("B-OS", ("B", "OS")), ("I-OS", ("I", "OS")), ("B-a-b", ("B", "a-b"))],
)
def test_a_tag_splits_at_its_first_dash(tag: str, parts: tuple[str, str]) -> None:
    assert split_tag(tag) == parts


@pytest.mark.parametrize(
    "tag", ["", "B", "I-", "B-", "-OS", "OS", "b-OS", "S-OS", "O-OS", "BI-OS", " O", "B_OS"]
)
def test_a_tag_that_is_not_iob2_is_named_in_the_error(tag: str) -> None:
    with pytest.raises(DataError) as caught:
        split_tag(tag)
    assert str(caught.value) == f"tag {tag!r} is not IOB2: write O, B-TYPE or I-TYPE"


@pytest.mark.parametrize(
    ("tags", "position"),
    [
        (["I-OS"], "'I-OS' at word 0"),
        (["B-OS", "I-ERROR"], "'I-ERROR' at word 1"),
        (["B-OS", "O", "I-OS"], "'I-OS' at word 2"),
    ],
)
def test_entities_of_invalid_tags_are_refused_with_the_position(
    tags: list[str], position: str
) -> None:
    with pytest.raises(DataError, match=position):
        to_entities(tags)


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([Entity(0, 0, "OS")], "does not fit a sentence of 3 words"),
        ([Entity(2, 1, "OS")], "does not fit"),
        ([Entity(-1, 1, "OS")], "does not fit"),
        ([Entity(2, 4, "OS")], "does not fit"),
        ([Entity(0, 2, "OS"), Entity(1, 3, "OS")], "overlaps"),
        ([Entity(1, 2, "OS"), Entity(0, 3, "OS")], "overlaps"),
        ([Entity(0, 1, "OS"), Entity(0, 1, "OS")], "overlaps"),
    ],
)
def test_entities_that_no_tags_can_hold_are_refused(entities: list[Entity], message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_tags(entities, 3)
