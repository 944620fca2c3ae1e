"""Blank tokens: whatever is dropped, the entities of the other words stay as they were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.blank_tokens import BlankTokens, is_blank
from ner_mlflow.errors import DataError

Entities = list[tuple[list[str], str]]
SCHEMES = ("IOB1", "IOB2", "BIOES", "BILOU", "BMEWO")
MARKS = {"BIOES": "BIES", "BILOU": "BILU", "BMEWO": "BMEW"}
WORDS = st.sampled_from(["a", "b", " ", "\u00a0", ""])
# A sentence as pieces: words without an entity (no type), or an entity of a type.
PIECES = st.lists(
    st.tuples(st.lists(WORDS, min_size=1, max_size=3), st.sampled_from(["", "", "X", "Y"])),
    min_size=1,
    max_size=5,
)


def encode(pieces: list[tuple[list[str], str]], scheme: str) -> tuple[list[str], list[str]]:
    tokens: list[str] = []
    tags: list[str] = []
    before = ""
    for words, type_ in pieces:
        tokens += words
        if not type_:
            tags += ["O"] * len(words)
        elif scheme in MARKS:
            first, inside, last, single = MARKS[scheme]
            marks = [single] if len(words) == 1 else [first, *[inside] * (len(words) - 2), last]
            tags += [f"{mark}-{type_}" for mark in marks]
        else:
            begins = "B" if scheme == "IOB2" or before == type_ else "I"
            tags += [f"{begins}-{type_}", *[f"I-{type_}"] * (len(words) - 1)]
        before = type_
    return tokens, tags


def decode(tokens: list[str], tags: list[str]) -> Entities:
    """Decode any scheme, strictly by its own marks."""
    entities: Entities = []
    is_open = False
    for token, tag in zip(tokens, tags, strict=True):
        mark, _, type_ = tag.partition("-")
        if mark == "O":
            is_open = False
            continue
        if mark in "BSUW" or not is_open or entities[-1][1] != type_:
            entities.append(([], type_))
        entities[-1][0].append(token)
        is_open = mark not in "ELSUW"
    return entities


def drop(tokens: list[str], tags: list[str], findings: Findings) -> tuple[list[str], list[str]]:
    blanks = BlankTokens(DataConfig(blank_tokens="drop"), findings, "train")
    return blanks.drop(tokens, tags, "x:1")


@settings(deadline=None, max_examples=400)
@given(pieces=PIECES, scheme=st.sampled_from(SCHEMES))
def test_entities_lose_their_blank_tokens_only(
    pieces: list[tuple[list[str], str]], scheme: str
) -> None:
    tokens, tags = encode(pieces, scheme)
    findings = Findings()
    blanks = BlankTokens(DataConfig(blank_tokens="drop"), findings, "train")
    blanks.learn([f"{mark}-X" for mark in MARKS.get(scheme, "")])  # the rest of the file
    kept, kept_tags = blanks.drop(tokens, tags, "x:1")
    before = decode(tokens, tags)
    assert [type_ for _, type_ in before] == [type_ for _, type_ in pieces if type_]
    expected = [([word for word in words if word.strip()], type_) for words, type_ in before]
    assert kept == [token for token in tokens if token.strip()]
    assert decode(kept, kept_tags) == [entity for entity in expected if entity[0]]
    assert findings.count("blank_token_dropped") == len(tokens) - len(kept)
    assert findings.count("entity_of_blank_tokens") == sum(not words for words, _ in expected)
    if scheme in MARKS:  # the marks of ends and of single words are right, too
        pieces_left = [(words, type_) for words, type_ in expected if words]
        again = [encode([piece], scheme)[1] for piece in pieces_left]
        assert [tag for tag in kept_tags if tag != "O"] == [tag for of in again for tag in of]


@pytest.mark.parametrize(
    ("tokens", "tags", "expected"),
    [
        (["", "b"], ["B-X", "I-X"], ["B-X"]),
        (["a", ""], ["B-X", "E-X"], ["S-X"]),
        (["a", "", "c"], ["B-X", "I-X", "L-X"], ["B-X", "L-X"]),
        (["", "b"], ["B", "I"], ["B"]),
        (["a", " ", "c"], ["I-X", "O", "I-X"], ["I-X", "B-X"]),
        (["a", " ", "c"], ["I-X", "I-X", "I-X"], ["I-X", "I-X"]),
        (["a", " ", "c"], ["OS", "OS", "OS"], ["OS", "OS"]),
        (["a", " ", "c"], ["OS", "O", "APP"], ["OS", "APP"]),
    ],
)
def test_tags_that_are_left_are_valid(
    tokens: list[str], tags: list[str], expected: list[str]
) -> None:
    assert drop(tokens, tags, Findings())[1] == expected


def test_entities_that_would_become_one_are_refused() -> None:
    with pytest.raises(DataError, match=r"x:1 word 2: .* two entities 'OS' would become one"):
        drop(["a", " ", "c"], ["OS", "O", "OS"], Findings())


def test_blank_tokens_are_refused_unless_they_are_dropped() -> None:
    blanks = BlankTokens(DataConfig(), Findings(), "train")
    with pytest.raises(DataError, match=r"x:1 word 1: the token is blank \('\\t'\)"):
        blanks.drop(["a", "\t"], ["O", "O"], "x:1")


def test_zero_width_characters_are_not_blank() -> None:
    assert not any(map(is_blank, ["\u200b", "\ufeff", "\u00ad", "\u2060"]))
    assert all(map(is_blank, ["", " ", "\u00a0", "\u3000", "\n\t"]))
