"""Tagging schemes: known by all tags of a split, converted without loss, never changed unseen."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Tokens
from spacy.training import biluo_to_iob

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data import sentences as sentences_module
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.schemes import SCHEMES, to_iob2
from ner_mlflow.data.sentences import Sentence, Sentences
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import Entity, invalid_positions, repair, to_entities, to_tags

Tags = Sequence[str]


def settings_of(**values: object) -> DataConfig:
    return load_config(overrides={f"data.{key}": value for key, value in values.items()}).data


def table(rows: Iterable[Tags]) -> Sentences:
    return Sentences.of(
        [
            Sentence(
                tuple(f"w{index}" for index in range(len(tags))), tuple(tags), None, f"f:{row}"
            )
            for row, tags in enumerate(rows)
        ]
    )


def split_rows(*rows: str) -> list[list[str]]:
    return [row.split() for row in rows]


def convert(rows: Iterable[Tags], **values: object) -> tuple[list[list[str]], Findings]:
    findings = Findings()
    converted = to_iob2(table(rows), settings_of(**values), findings, "train")
    return [list(sentence.tags) for sentence in converted], findings


def scheme_of(findings: Findings) -> str:
    return findings.facts["train", "scheme"]


# Schemes as their definitions say: the tags of one entity, or of a sentence

MARKS: dict[str, Callable[[int], str]] = {
    "IOB2": lambda size: "B" + "I" * (size - 1),
    "IO": lambda size: "I" * size,
    "BIOES": lambda size: "S" if size == 1 else "B" + "I" * (size - 2) + "E",
    "BILOU": lambda size: "U" if size == 1 else "B" + "I" * (size - 2) + "L",
    "BMEWO": lambda size: "W" if size == 1 else "B" + "M" * (size - 2) + "E",
    "BMES": lambda size: "S" if size == 1 else "B" + "M" * (size - 2) + "E",
}


def encode(entities: Sequence[Entity], length: int, scheme: str) -> list[str]:
    tags = ["O"] * length
    for entity in entities:
        marks = MARKS["IO" if scheme == "IOB1" else scheme](entity.end - entity.start)
        touches = any(e.end == entity.start and e.type == entity.type for e in entities)
        if scheme == "IOB1" and touches:
            marks = "B" + marks[1:]
        tags[entity.start : entity.end] = [f"{mark}-{entity.type}" for mark in marks]
    return tags


@st.composite
def entity_rows(
    draw: st.DrawFn, types: Sequence[str] = ("OS", "a-b", "B-x", "\U0001f427 é")
) -> Any:
    """Draw sentences as (entities, length)."""
    rows = []
    for gaps in draw(
        st.lists(
            st.lists(
                st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(types)), max_size=4
            ),
            min_size=1,
            max_size=6,
        )
    ):
        position, entities = 0, []
        for gap, size, type_ in gaps:
            entities.append(Entity(position + gap, position + gap + size, type_))
            position += gap + size
        rows.append((entities, position + draw(st.integers(0 if entities else 1, 2))))
    return rows


def joined(entities: Sequence[Entity]) -> list[Entity]:
    """Join entities that touch one of the same type, which IO cannot tell apart."""
    result: list[Entity] = []
    for entity in entities:
        last = result[-1] if result else None
        if last and last.end == entity.start and last.type == entity.type:
            result[-1] = Entity(last.start, entity.end, entity.type)
        else:
            result.append(entity)
    return result


@pytest.mark.parametrize("given_scheme", ["auto", "named"])
@pytest.mark.parametrize("scheme", SCHEMES)
@settings(deadline=None, max_examples=60)
@given(rows=entity_rows())
def test_every_scheme_is_converted_without_loss(
    scheme: str, given_scheme: str, rows: list[tuple[list[Entity], int]]
) -> None:
    encoded = [encode(entities, length, scheme) for entities, length in rows]
    converted, findings = convert(
        encoded, scheme="auto" if given_scheme == "auto" else scheme, invalid_tags="error"
    )
    expected = [joined(entities) if scheme == "IO" else entities for entities, _ in rows]
    assert [to_entities(tags) for tags in converted] == expected
    changed = sum(
        before != after
        for olds, news in zip(encoded, converted, strict=True)
        for before, after in zip(olds, news, strict=True)
    )
    assert findings.count("scheme_converted") == changed
    assert findings.count("tags_repaired") == 0
    if given_scheme == "named":
        assert scheme_of(findings) == scheme


ORACLES = {"IOB1": IOB1, "IOB2": IOB2, "BIOES": IOBES, "BILOU": BILOU}


@pytest.mark.parametrize("scheme", ORACLES)
@settings(deadline=None, max_examples=60)
@given(rows=entity_rows(types=("OS", "X", "LONG")))
def test_entities_are_those_that_seqeval_finds(
    scheme: str, rows: list[tuple[list[Entity], int]]
) -> None:
    encoded = [encode(entities, length, scheme) for entities, length in rows]
    converted, _ = convert(encoded)
    for before, after in zip(encoded, converted, strict=True):
        found = Tokens(before, ORACLES[scheme]).entities
        assert to_entities(after) == [Entity(e.start, e.end, e.tag) for e in found]


@settings(deadline=None, max_examples=60)
@given(rows=entity_rows(types=("OS", "X", "LONG")))
def test_bilou_becomes_what_spacy_makes_of_it(rows: list[tuple[list[Entity], int]]) -> None:
    encoded = [encode(entities, length, "BILOU") for entities, length in rows]
    assert convert(encoded)[0] == [biluo_to_iob(tags) for tags in encoded]


ANY_ROWS = st.sampled_from([scheme for scheme in SCHEMES if scheme != "IO"]).flatmap(
    lambda scheme: st.lists(
        st.lists(
            st.sampled_from(
                ["O", *(f"{prefix}-{type_}" for prefix in SCHEMES[scheme].roles for type_ in "XY")]
            ),
            min_size=1,
            max_size=7,
        ),
        min_size=1,
        max_size=5,
    ).map(lambda rows: (scheme, rows))
)


@settings(deadline=None, max_examples=200)
@given(ANY_ROWS)
def test_broken_tags_lose_no_word_of_an_entity_and_no_border(case: tuple[str, list[Tags]]) -> None:
    scheme, rows = case
    converted, findings = convert(rows, scheme=scheme)
    ends = [prefix for prefix in SCHEMES[scheme].roles if prefix in "ELSUW"]
    begins = [prefix for prefix in SCHEMES[scheme].roles if prefix in "BSUW"]
    for before, after in zip(rows, converted, strict=True):
        assert invalid_positions(after) == []
        assert [tag[1:] for tag in before] == [tag[1:] for tag in after]
        for position, tag in enumerate(before):
            closed = position and before[position - 1][0] in ends
            assert tag == "O" or after[position][0] == "B" or not (tag[0] in begins or closed)
    broken = sum(len(broken_positions(scheme, tags)) for tags in rows)
    assert findings.count("tags_repaired") == broken
    if broken:
        with pytest.raises(DataError, match=f"{broken} tags break their scheme {scheme}: f:"):
            convert(rows, scheme=scheme, invalid_tags="error")


def broken_positions(scheme: str, tags: Tags) -> list[int]:
    """Return the positions of broken tags, one tag after the other, by the scheme's definition."""
    broken = set()
    roles = {"I": "inside", "M": "inside", "B": "begin", "E": "end", "L": "end", "O": "out"}
    taken = [(roles.get(tag[0], "single"), tag[2:]) for tag in tags]
    for position, (role, type_) in enumerate(taken):
        before = taken[position - 1] if position else ("out", "")
        after = taken[position + 1] if position + 1 < len(taken) else ("out", "")
        continues = before in (("begin", type_), ("inside", type_))
        if scheme == "IOB1":
            if role == "begin" and not continues:
                broken.add(position)
        elif role in ("inside", "end") and not continues:
            broken.add(position)
        is_open = scheme not in ("IOB1", "IOB2") and role in ("begin", "inside")
        if is_open and after not in (("inside", type_), ("end", type_)):
            broken.add(position)
    return sorted(broken)


# Recognition


@pytest.mark.parametrize(
    ("rows", "scheme"),
    [
        (split_rows("O O", "O"), "IOB2"),
        (split_rows("B-X I-X B-X"), "IOB2"),
        (split_rows("I-X O I-X I-Y"), "IO"),
        (split_rows("I-X B-X I-X O I-Y"), "IOB1"),
        (split_rows("B-X I-X O", "I-Y O"), "IOB2"),
        (split_rows("S-X O"), "BIOES"),
        (split_rows("B-X E-X"), "BIOES"),
        (split_rows("U-X"), "BILOU"),
        (split_rows("B-X L-X"), "BILOU"),
        (split_rows("B-X M-X E-X W-Y"), "BMEWO"),
        (split_rows("B-X M-X E-X S-Y"), "BMES"),
        (split_rows("O PER O O LOC LOC"), "IO (types alone)"),
    ],
)
def test_a_scheme_is_known_by_all_tags_of_a_split(rows: list[list[str]], scheme: str) -> None:
    assert scheme_of(convert(rows)[1]) == scheme


def test_valid_iob2_is_returned_as_it_is() -> None:
    source = table(split_rows("B-X I-X O", "O B-Y"))
    findings = Findings()
    assert to_iob2(source, settings_of(invalid_tags="error"), findings, "train") is source
    assert list(findings) == []


def test_begin_tags_apart_make_iob2_however_many_inside_tags_are_broken() -> None:
    rows = split_rows(*["B-X I-X O"] * 3, *["O I-X"] * 40)
    _, findings = convert(rows)
    assert scheme_of(findings) == "IOB2"
    assert findings.count("tags_repaired") == 40
    assert findings.count("scheme_converted") == 0


def test_few_adjacent_entities_make_iob1_and_not_broken_iob2() -> None:
    rows = split_rows(*["I-X I-X O"] * 300, "O I-X B-X I-X")
    converted, findings = convert(rows, invalid_tags="error")
    assert scheme_of(findings) == "IOB1"
    assert converted[-1] == ["O", "B-X", "B-X", "I-X"]
    assert findings.count("scheme_converted") == 301


def test_one_slip_in_a_large_iob1_split_is_the_broken_tag() -> None:
    rows = split_rows(*["I-X I-X O"] * 300, "I-X B-X O B-Y")
    converted, findings = convert(rows)
    assert scheme_of(findings) == "IOB1"
    assert [str(finding) for finding in findings if finding.kind == "tags_repaired"] == [
        "train: tags that broke their scheme and were repaired: 1 (f:300 word 3 B-Y)"
    ]
    assert converted[-1] == ["B-X", "B-X", "O", "B-Y"]


# Repair


def test_an_inside_tag_that_continues_no_entity_begins_one_as_in_conlleval() -> None:
    rows = split_rows("B-X I-Y I-Y", "I-Z O I-Z", "B-X B-X I-X")
    converted, findings = convert(rows)
    assert converted == [repair(tags) for tags in rows]
    (finding,) = findings
    assert str(finding) == (
        "train: tags that broke their scheme and were repaired: 3 "
        "(f:0 word 1 I-Y; f:1 word 0 I-Z; f:1 word 2 I-Z)"
    )


@pytest.mark.parametrize(
    ("row", "repaired", "broken"),
    [
        ("I-X E-X O", "B-X I-X O", 1),
        ("B-X I-X O", "B-X I-X O", 1),
        ("B-X O S-Y", "B-X O B-Y", 1),
        ("S-X I-X E-X", "B-X B-X I-X", 1),
        ("B-X E-X E-X", "B-X I-X B-X", 1),
        ("B-X E-Y O", "B-X B-Y O", 2),
        ("B-X B-X E-X", "B-X B-X I-X", 1),
    ],
)
def test_broken_ends_are_repaired_without_joining_entities(
    row: str, repaired: str, broken: int
) -> None:
    converted, findings = convert([row.split()], scheme="BIOES")
    assert converted == [repaired.split()]
    assert findings.count("tags_repaired") == broken


def test_invalid_tags_may_be_refused_with_their_places() -> None:
    rows = split_rows("B-X I-Y", *["O I-X"] * 6)
    message = (
        "7 tags break their scheme IOB2: f:0 word 1 I-Y, f:1 word 1 I-X, f:2 word 1 I-X, "
        "f:3 word 1 I-X, f:4 word 1 I-X and 2 more. Fix them, or choose invalid_tags=repair"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        convert(rows, invalid_tags="error")


def test_an_entity_does_not_go_on_in_the_next_sentence() -> None:
    converted, findings = convert(split_rows("O B-X", "I-X O"))
    assert converted == [["O", "B-X"], ["B-X", "O"]]
    assert findings.count("tags_repaired") == 1


# Types and prefixes


def test_types_alone_are_entities_where_the_type_changes_or_o_stands_between() -> None:
    rows = split_rows("person-actor person-actor O O O", "O other other O misc")
    converted, findings = convert(rows)
    assert converted == split_rows(
        "B-person-actor I-person-actor O O O", "O B-other I-other O B-misc"
    )
    assert findings.count("scheme_converted") == 5


def test_types_alone_without_many_o_need_the_scheme_named() -> None:
    rows = split_rows("PER PER O")
    with pytest.raises(DataError, match=r"tag 'PER' fits no scheme.*which is IO if tags are types"):
        convert(rows)
    assert convert(rows, scheme="IO")[0] == split_rows("B-PER I-PER O")
    assert convert(split_rows("T-cell B-cell O"), scheme="IO")[0] == split_rows(
        "B-T-cell B-B-cell O"
    )


@pytest.mark.parametrize(
    "tags",
    [
        ["(person-1)", "O", "O"],
        ["B_LOC", "I_LOC", "O", "O", "O"],
        ["LOC-B", "LOC-I", "O", "O", "O"],
        ["B - LOC", "O"],
    ],
)
def test_tags_of_another_notation_are_no_types_alone(tags: list[str]) -> None:
    with pytest.raises(DataError, match=r"fits no scheme.*, or write tags as B-TYPE and I-TYPE"):
        convert([tags])


@pytest.mark.parametrize(
    ("row", "converted", "changed"),
    [
        ("B I O B B", "B-OS I-OS O B-OS B-OS", 0),
        ("I I O I", "B-OS I-OS O B-OS", 2),
        ("S O B I E", "B-OS O B-OS I-OS I-OS", 2),
    ],
)
def test_untyped_tags_get_the_type_that_is_given(row: str, converted: str, changed: int) -> None:
    tags, findings = convert([row.split()], untyped_type="OS")
    assert tags == [converted.split()]
    assert findings.count("type_given") == len(row.split()) - row.count("O")
    assert findings.count("scheme_converted") == changed


def test_untyped_tags_without_a_type_are_refused() -> None:
    message = "f:1 word 1: tag 'B' has no type: give one by untyped_type=TYPE"
    with pytest.raises(DataError, match=message):
        convert(split_rows("O O", "O B I"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("B-OS O X-OS O", "f:0 word 2: tag 'X-OS' fits no scheme (tags seen: O, B-OS, X-OS): "),
        ("O O X-OS O", "tag 'X-OS' fits no scheme"),
        ("B-OS I-OS L-OS S-OS S-OS", "tag 'L-OS' fits no scheme together with the others"),
        ("O O b-per", "tag 'b-per' fits no scheme"),
        ("o o B-OS", "tag 'o' fits no scheme"),
        ("O O B_PER I_PER", "tag 'B_PER' fits no scheme"),
        ("O O PER-B PER-I", "tag 'PER-B' fits no scheme"),
        ("O O B- I-", "tag 'B-' fits no scheme"),
        ("NN NN O", "tag 'NN' fits no scheme"),
        ("O O 1 2", "tag '1' fits no scheme"),
        ("O B-OS I", "tag 'I' fits no scheme"),
        ("O O O B-OS PER", "tag 'PER' fits no scheme"),
        ("O O O B-OS _", "tag '_' fits no scheme"),
        ("O O B PER", "tag 'PER' fits no scheme"),
    ],
)
def test_a_tag_of_no_scheme_is_refused_with_its_place(row: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        convert([row.split()])
    assert ": choose another tag_column or scheme" in str(caught.value)
    assert str(caught.value).startswith("f:0 word ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tag", "hint"),
    [
        ("b-per", "or scheme, or write O and prefixes in upper case"),
        ("7", "or scheme, or give tag_names"),
        ("", "or scheme"),
    ],
)
def test_the_refusal_of_a_tag_tells_the_way_out(tag: str, hint: str) -> None:
    with pytest.raises(DataError, match=f"{hint}$"):
        convert([["O", "O", tag]])


def test_a_long_or_unprintable_tag_leaves_the_message_on_one_line() -> None:
    with pytest.raises(DataError) as caught:
        convert([["O", "B-OS", "x\ny" * 1000]])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("scheme", "row", "tag"),
    [
        ("IOB2", "B-X E-X", "E-X"),
        ("BIOES", "B-X L-X", "L-X"),
        ("IO", "I-X B-X", "B-X"),
        ("IO", "B-X B-Y", "B-X"),
        ("IOB1", "S-X", "S-X"),
    ],
)
def test_a_tag_outside_the_scheme_that_was_named_is_refused(
    scheme: str, row: str, tag: str
) -> None:
    with pytest.raises(DataError, match=f"f:0 word .: tag '{tag}' does not fit scheme={scheme} "):
        convert([row.split()], scheme=scheme)


# Large tables


def test_batches_are_converted_as_one_split(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = split_rows("I-X B-X O", "I-X", "O", "I-Y I-Y", "O I-X B-X", "B-Z") * 3
    expected, whole = convert(rows)
    monkeypatch.setattr(sentences_module, "BATCH_SENTENCES", 2)
    converted, findings = convert(rows)
    assert converted == expected
    assert list(findings) == list(whole)
    assert [finding.places[0] for finding in findings if finding.kind == "tags_repaired"] == [
        "f:0 word 0 I-X"
    ]


def test_words_and_texts_stay_as_they_are() -> None:
    source = Sentence(("a", "b"), ("S-X", "O"), "doc", "f:1", "a b", (0, 2))
    converted = to_iob2(Sentences.of([source]), settings_of(), Findings(), "train")
    assert list(converted) == [Sentence(("a", "b"), ("B-X", "O"), "doc", "f:1", "a b", (0, 2))]


def test_the_tags_of_entities_are_those_of_the_tagger() -> None:
    entities = [Entity(0, 2, "X"), Entity(2, 3, "X")]
    converted, _ = convert([encode(entities, 4, "BIOES")])
    assert converted == [to_tags(entities, 4)]
