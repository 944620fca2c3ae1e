"""Answers are parsed strictly, and their mentions located in the sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.prompting.answers import (
    Answer,
    Mention,
    answer_schema,
    locate_mentions,
    parse_answer,
    render_answer,
)
from ner_mlflow.prompting.baseline import REJECTION_REASONS
from ner_mlflow.tagging.iob2 import repair, to_entities

TYPES = ("OS", "VERSION")
TOKENS = ("Ubuntu", "22.04", "and", "ubuntu", "20.04", "on", "Mac", "OS", "X")


def tags_and_faults(*mentions: tuple[str, str]) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    located = locate_mentions(
        Answer(entities=tuple(Mention(text=text, type=type_) for text, type_ in mentions)),
        TOKENS,
        TYPES,
    )
    return located.tags, {
        reason: getattr(located, reason) for reason in REJECTION_REASONS if getattr(located, reason)
    }


@pytest.mark.parametrize(
    ("mentions", "entities", "faults"),
    [
        ([("Ubuntu", "OS")], [(0, 1)], {}),
        ([("ubuntu", "OS")], [(3, 4)], {}),
        ([("UBUNTU", "OS"), ("UBUNTU", "OS")], [(0, 1), (3, 4)], {}),
        (
            [("Ubuntu", "OS"), ("Ubuntu", "OS"), ("Ubuntu", "OS")],
            [(0, 1), (3, 4)],
            {"overlapping": ("Ubuntu",)},
        ),
        ([("Mac OS X", "OS")], [(6, 9)], {}),
        ([("MacOS X", "OS")], [(6, 9)], {}),
        ([("Mac OS X", "OS"), ("OS X", "OS")], [(6, 9)], {"overlapping": ("OS X",)}),
        (
            [("Windows", "OS"), ("Ubuntu 22", "OS"), ("", "OS")],
            [],
            {"hallucinated": ("Windows", "Ubuntu 22", "")},
        ),
        ([("Ubuntu", "SYSTEM"), ("22.04", "VERSION")], [(1, 2)], {"foreign": ("Ubuntu",)}),
    ],
)
def test_mentions_are_located_in_the_words(
    mentions: list[tuple[str, str]],
    entities: list[tuple[int, int]],
    faults: dict[str, tuple[str, ...]],
) -> None:
    tags, rejected = tags_and_faults(*mentions)
    assert [(entity.start, entity.end) for entity in to_entities(tags)] == entities
    assert rejected == faults


WORDS = st.sampled_from(["a", "A", "b", "ab", "1.0", "ß", "…", "\u200b"])
TAGS = st.sampled_from(["O", "B-OS", "I-OS", "B-VERSION", "I-VERSION"])


@given(st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=10), st.permutations(range(3)))
def test_any_answer_gives_valid_tags_and_every_mention_is_accounted_for(
    pairs: list[tuple[str, str]], order: list[int]
) -> None:
    tokens, tags = [word for word, _ in pairs], repair([tag for _, tag in pairs])
    answer = parse_answer(render_answer(tokens, to_entities(tags)))
    mentions = [answer.entities[index] for index in order if index < len(answer.entities)]
    located = locate_mentions(Answer(entities=tuple(mentions)), tokens, TYPES)
    rejected = [text for reason in REJECTION_REASONS for text in getattr(located, reason)]
    assert len(located.tags) == len(tokens)
    assert len(to_entities(located.tags)) + len(rejected) == len(mentions)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), TAGS),
        min_size=1,
        max_size=10,
        unique_by=lambda pair: pair[0],
    )
)
def test_entities_of_different_words_survive_the_round_trip(pairs: list[tuple[int, str]]) -> None:
    tokens, tags = [f"w{number}." for number, _ in pairs], repair([tag for _, tag in pairs])
    assert (
        locate_mentions(parse_answer(render_answer(tokens, to_entities(tags))), tokens, TYPES).tags
        == tags
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Invalid JSON"),
        ('```json\n{"entities": []}\n```', "Invalid JSON"),
        ('{"entities": [{"text": "a", "type": "OS"}', "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"entities": [{"text": "a"}]}', r"entities\.0\.type: Field required"),
        (
            '{"entities": [{"text": 5, "type": "OS"}]}',
            r"entities\.0\.text: Input should be a valid string",
        ),
        ('{"entities": [], "note": "none"}', "note: Extra inputs"),
    ],
)
def test_an_answer_that_does_not_follow_the_schema_is_invalid(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_answer(text)


def test_the_schema_names_the_types() -> None:
    text = json.dumps(answer_schema(TYPES))
    assert '"enum": ["OS", "VERSION"]' in text
    assert '"strict": true' in text
