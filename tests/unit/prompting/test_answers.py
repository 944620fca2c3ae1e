"""Answers in words become tags: parsed strictly, located where they stand."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.prompting.answers import (
    Answer,
    Mention,
    answer_schema,
    locate,
    parse_answer,
    render_answer,
)
from ner_mlflow.tagging.iob2 import repair, to_entities

TYPES = ("OS", "VERSION")
TOKENS = ("Ubuntu", "22.04", "and", "ubuntu", "20.04", "on", "Mac", "OS", "X")


def located(*mentions: tuple[str, str]) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    found = locate(
        Answer(entities=tuple(Mention(text=text, type=type_) for text, type_ in mentions)),
        TOKENS,
        TYPES,
    )
    return found.tags, {
        name: getattr(found, name)
        for name in ("hallucinated", "foreign", "overlapping")
        if getattr(found, name)
    }


@pytest.mark.parametrize(
    ("mentions", "entities", "wrong"),
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
def test_mentions_are_found_in_the_words(
    mentions: list[tuple[str, str]],
    entities: list[tuple[int, int]],
    wrong: dict[str, tuple[str, ...]],
) -> None:
    tags, notes = located(*mentions)
    assert [(entity.start, entity.end) for entity in to_entities(tags)] == entities
    assert notes == wrong


WORDS = st.sampled_from(["a", "A", "b", "ab", "1.0", "ß", "…", "\u200b"])
TAGS = st.sampled_from(["O", "B-OS", "I-OS", "B-VERSION", "I-VERSION"])


@given(st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=10), st.permutations(range(3)))
def test_whatever_is_answered_the_tags_are_valid_and_every_mention_is_accounted_for(
    pairs: list[tuple[str, str]], order: list[int]
) -> None:
    tokens, tags = [word for word, _ in pairs], repair([tag for _, tag in pairs])
    answer = parse_answer(render_answer(tokens, to_entities(tags)))
    mentions = [answer.entities[index] for index in order if index < len(answer.entities)]
    found = locate(Answer(entities=tuple(mentions)), tokens, TYPES)
    entities = to_entities(found.tags)
    assert len(found.tags) == len(tokens)
    assert len(entities) + len(found.hallucinated) + len(found.foreign) + len(
        found.overlapping
    ) == len(mentions)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), TAGS),
        min_size=1,
        max_size=10,
        unique_by=lambda pair: pair[0],
    )
)
def test_entities_of_different_words_come_back_as_they_were(pairs: list[tuple[int, str]]) -> None:
    tokens, tags = [f"w{number}." for number, _ in pairs], repair([tag for _, tag in pairs])
    assert (
        locate(parse_answer(render_answer(tokens, to_entities(tags))), tokens, TYPES).tags == tags
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
def test_anything_but_the_asked_form_is_invalid(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_answer(text)


def test_the_schema_names_the_types() -> None:
    text = json.dumps(answer_schema(TYPES))
    assert '"enum": ["OS", "VERSION"]' in text
    assert '"strict": true' in text
