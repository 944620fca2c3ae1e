"""Texts with spans: every entity comes out with its surface and label, or is counted."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings, finding_kinds
from ner_mlflow.data.formats.base import Span, TextWithSpans, WordsWithSpans
from ner_mlflow.data.spans import CutSentence, cut_text, tag_words
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.invisible import WITHOUT_GLYPH
from ner_mlflow.tagging.iob2 import to_entities
from ner_mlflow.tagging.words import encodable, split_sentences

PENGUIN = "\U0001f427"


def settings_of(**values: object) -> DataConfig:
    return load_config(overrides={f"data.{key}": value for key, value in values.items()}).data


def cut(
    text: str, *spans: Span | tuple[Any, ...], **values: object
) -> tuple[list[CutSentence], Findings]:
    findings = Findings()
    record = TextWithSpans(text, [Span(*span) for span in spans], 3)
    return list(cut_text(record, settings_of(**values), findings, "train", "f:3")), findings


def tag(
    tokens: Sequence[str], *spans: Span | tuple[Any, ...], **values: object
) -> tuple[list[str], Findings]:
    findings = Findings()
    record = WordsWithSpans(tokens, [Span(*span) for span in spans], 3)
    return tag_words(record, settings_of(**values), findings, "train", "f:3"), findings


def entities_of(sentences: Sequence[CutSentence]) -> list[tuple[int, int, str]]:
    """Return the entities as offsets of the whole text."""
    found, begin = [], 0
    for sentence in sentences:
        assert sentence.text is not None
        assert sentence.starts is not None
        for entity in to_entities(sentence.tags):
            last = entity.end - 1
            end = sentence.starts[last] + len(sentence.tokens[last])
            found.append((begin + sentence.starts[entity.start], begin + end, entity.type))
        begin += len(sentence.text)
    return found


def kinds(findings: Findings) -> dict[str, int]:
    return {finding.kind: finding.count for finding in findings}


def left_out(findings: Findings) -> int:
    """Return how many entities were left out."""
    table = finding_kinds()
    return sum(
        finding.count
        for finding in findings
        if table[finding.kind].effect == "left out" and table[finding.kind].unit == "entities"
    )


# Words, sentences, pieces


def test_words_are_cut_as_the_served_model_cuts_them() -> None:
    (sentence,), findings = cut("Redis (v7) fails.", (0, 5, "SOFTWARE"), (7, 9, "VERSION"))
    assert sentence == CutSentence(
        ["Redis", "(", "v7", ")", "fails", "."],
        ["B-SOFTWARE", "O", "B-VERSION", "O", "O", "O"],
        "Redis (v7) fails.",
        [0, 6, 7, 9, 11, 16],
    )
    assert list(findings) == []


def test_the_pieces_of_a_text_join_to_it() -> None:
    text = "  It runs. \n\n Redis too.\t"
    sentences, _ = cut(text, (14, 19, "SOFTWARE"))
    assert [(cut.text, cut.starts) for cut in sentences] == [
        ("  It runs. \n\n ", [2, 5, 9]),
        ("Redis too.\t", [0, 6, 9]),
    ]


def test_an_end_within_a_word_cuts_the_word_there() -> None:
    (sentence,), findings = cut("on Ubuntu22.04amd64 now", (3, 9, "OS"), (9, 14, "VERSION"))
    assert sentence.tokens == ["on", "Ubuntu", "22.04", "amd64", "now"]
    assert sentence.tags == ["O", "B-OS", "B-VERSION", "O", "O"]
    assert sentence.starts == [0, 3, 9, 14, 20]
    assert [str(finding) for finding in findings] == [
        "train: words that were cut where an entity begins or ends inside them: 1 "
        "(f:3 '22.04amd64')"
    ]


@pytest.mark.parametrize(
    ("text", "span", "extent"),
    [
        ("\u00adRedis fails", (0, 6), (1, 6)),
        ("see Redis\u200b, now", (4, 10), (4, 9)),
        ("see \u200bRedis", (4, 10), (5, 10)),
        ("Re\u00addis fails", (0, 6), (0, 6)),
    ],
)
def test_hidden_characters_around_an_entity_are_trimmed(
    text: str, span: tuple[int, int], extent: tuple[int, int]
) -> None:
    sentences, findings = cut(text, (*span, "SOFTWARE"))
    assert entities_of(sentences) == [(*extent, "SOFTWARE")]
    assert kinds(findings) == ({} if span == extent else {"span_trimmed": 1})


def test_a_span_of_hidden_characters_is_no_entity() -> None:
    with pytest.raises(DataError, match="it holds hidden characters only"):
        cut("a\u200bb", (1, 2, "OS"))


def test_an_entity_across_the_end_of_a_sentence_joins_the_two() -> None:
    text = "See Yahoo! Mail now. It runs.\n\nLast."
    assert len(split_sentences(text)) == 4
    sentences, findings = cut(text, (4, 15, "SOFTWARE"))
    assert [sentence.text for sentence in sentences] == [
        "See Yahoo! Mail now. ",
        "It runs.\n\n",
        "Last.",
    ]
    assert sentences[0].tags == ["O", "B-SOFTWARE", "I-SOFTWARE", "I-SOFTWARE", "O", "O"]
    assert kinds(findings) == {"sentences_joined": 1}


def test_an_entity_may_join_many_sentences() -> None:
    (sentence,), findings = cut("A! B! C! D", (0, 10, "X"))
    assert sentence.tags == ["B-X", *["I-X"] * 6]
    assert kinds(findings) == {"sentences_joined": 3}


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_text_without_words_yields_nothing_and_is_counted(text: str) -> None:
    sentences, findings = cut(text)
    assert sentences == []
    assert kinds(findings) == {"row_without_words": 1}


def test_spans_of_a_text_without_words_are_counted() -> None:
    sentences, findings = cut(" \n ", (0, 2, "X"), invalid_spans="drop")
    assert sentences == []
    assert kinds(findings) == {"row_without_words": 1, "span_invalid": 1}


def test_halves_of_surrogate_pairs_are_replaced_and_counted() -> None:
    (sentence,), findings = cut(
        "a\ud83d Redis \udc27", (3, 8, "X", "Redis"), (0, 2, "Y", "a\ud83d")
    )
    assert sentence.text == "a\ufffd Redis \ufffd"
    assert sentence.tags == ["B-Y", "I-Y", "B-X", "O"]
    assert kinds(findings) == {"half_surrogate_replaced": 2}


# Spans that do not fit


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((-1, 5, "OS"), "span -1-5 OS: it is not within the 14 characters"),
        ((6, 15, "OS"), "span 6-15 OS: it is not within the 14 characters"),
        ((6, 6, "OS"), "span 6-6 OS: it does not end after its start"),
        ((9, 6, "OS"), "span 9-6 OS: it does not end after its start"),
        ((5, 6, "OS"), "span 5-6 OS: it holds white space only"),
        (
            (6, 11, "OS", "Redis"),
            "span 6-11 OS: the text has 'on De' there, the file names 'Redis'",
        ),
        ((0, 5, "OS", "redis"), "the text has 'Redis' there, the file names 'redis'"),
        ((0, 5, "OS", ""), "the text has 'Redis' there, the file names ''"),
        ((1.5, 3, "OS"), "span 1.5-3 OS: an offset is not a whole number"),
        ((0, 0, "OS", None, ((0, 5), (9, 99))), "span 0-5;9-99 OS: it is not within the 14"),
    ],
)
def test_a_span_that_does_not_fit_is_refused_or_left_out(
    span: tuple[Any, ...], message: str
) -> None:
    text = "Redis on Debia"
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        cut(text, span)
    assert str(caught.value).startswith("f:3: span ")
    assert str(caught.value).endswith(": correct it, or choose invalid_spans=drop")
    (sentence,), findings = cut(text, span, (9, 14, "OS"), invalid_spans="drop")
    assert sentence.tags == ["O", "O", "B-OS"]
    assert kinds(findings) == {"span_invalid": 1}


@pytest.mark.parametrize("label", ["", "  ", None, 3, ["OS"], "O\ud83dS"])
def test_a_label_that_is_no_text_is_refused(label: object) -> None:
    with pytest.raises(DataError, match=r"f:3: span 0-5: label .* is not text: give each span"):
        cut("Redis", (0, 5, label), invalid_spans="drop")
    with pytest.raises(DataError, match=r"f:3: span 0-1: label .* is not text: give each span"):
        tag(["Redis"], (0, 1, label), invalid_spans="drop")


def test_a_message_stays_on_one_short_line() -> None:
    with pytest.raises(DataError) as caught:
        cut("a\n" * 500, (0, 990, "L\nM", "b\n" * 500))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "surface"),
    [
        ("Windows\n10", "Windows 10"),
        ("Windows\n10", "Windows\\n10"),
        ("Windows \r\n 10", "Windows 10"),
        ("Windows\u00a010", " Windows 10\n"),
        ("echo\\n  10", "echo\\n 10"),
    ],
)
def test_surfaces_may_differ_in_white_space(text: str, surface: str) -> None:
    sentences, findings = cut(text, (0, len(text), "OS", surface))
    assert entities_of(sentences) == [(0, len(text), "OS")]
    assert not left_out(findings)


def test_white_space_at_the_ends_of_a_span_is_trimmed_and_counted() -> None:
    (sentence,), findings = cut("on Debian now", (2, 10, "OS", " Debian "))
    assert sentence.tags == ["O", "B-OS", "O"]
    assert kinds(findings) == {"span_trimmed": 1}


# Several spans


def test_a_repeated_span_is_counted_once() -> None:
    (sentence,), findings = cut("on Debian", (3, 9, "OS"), (3, 9, "OS"), (2, 9, "OS"))
    assert sentence.tags == ["O", "B-OS"]
    assert kinds(findings) == {"span_duplicate": 2}


NESTED = "Ubuntu 20.04 LTS Server"


@pytest.mark.parametrize(
    ("overlaps", "spans", "kept"),
    [
        ("longest", [(0, 6, "A"), (0, 12, "B")], [(0, 12, "B")]),
        ("longest", [(7, 12, "A"), (0, 6, "B"), (0, 12, "C")], [(0, 12, "C")]),
        ("longest", [(7, 16, "A"), (0, 12, "B")], [(0, 12, "B")]),
        ("longest", [(7, 16, "A"), (13, 23, "B")], [(13, 23, "B")]),
        ("longest", [(7, 16, "B"), (7, 16, "A")], [(7, 16, "B")]),
        ("longest", [(7, 12, "A"), (0, 6, "B")], [(0, 6, "B"), (7, 12, "A")]),
        ("first", [(7, 23, "A"), (0, 12, "B")], [(0, 12, "B")]),
        ("first", [(0, 6, "A"), (0, 12, "B")], [(0, 6, "A")]),
        ("first", [(0, 12, "A"), (7, 16, "B"), (13, 23, "C")], [(0, 12, "A"), (13, 23, "C")]),
    ],
)
def test_which_of_overlapping_spans_is_kept_goes_by_the_setting(
    overlaps: str, spans: list[tuple[Any, ...]], kept: list[tuple[int, int, str]]
) -> None:
    sentences, findings = cut(NESTED, *spans, overlaps=overlaps)
    assert entities_of(sentences) == kept
    assert findings.count("span_overlapping") == left_out(findings) == len(spans) - len(kept)


def test_an_overlap_is_told_with_both_spans() -> None:
    _, findings = cut(NESTED, (0, 6, "A"), (0, 12, "B"))
    assert [str(finding) for finding in findings] == [
        "train: entities that overlap a span that was kept: 1 "
        "(f:3 0-6 A 'Ubuntu' (kept 0-12 B 'Ubuntu 20.04'))"
    ]


def test_overlaps_may_be_refused() -> None:
    message = r"f:3: spans 0-12 B 'Ubuntu 20.04' and 7-12 A '20.04' overlap: remove one, or choose"
    with pytest.raises(DataError, match=message):
        cut(NESTED, (7, 12, "A"), (0, 12, "B"), overlaps="error")
    sentences, _ = cut(NESTED, (0, 6, "A"), (7, 12, "B"), (0, 6, "A"), overlaps="error")
    assert len(entities_of(sentences)) == 2


def test_a_discontinuous_span_is_left_out_or_refused() -> None:
    span = Span(0, 16, "OS", "Ubuntu LTS", ((0, 6), (13, 16)))
    sentences, findings = cut(NESTED, span, (7, 12, "VERSION"))
    assert entities_of(sentences) == [(7, 12, "VERSION")]
    assert kinds(findings) == {"span_discontinuous": 1}
    with pytest.raises(DataError, match="f:3: span 0-6;13-16 OS is discontinuous: make it one"):
        cut(NESTED, span, overlaps="error")


def test_parts_with_white_space_between_are_one_span() -> None:
    span = Span(0, 12, "OS", "Ubuntu 20.04", ((7, 12), (0, 6)))
    sentences, findings = cut(NESTED, span._replace(parts=((0, 6), (7, 12))), overlaps="error")
    assert entities_of(sentences) == [(0, 12, "OS")]
    assert list(findings) == []
    assert entities_of(cut(NESTED, span._replace(surface=None))[0]) == [(0, 12, "OS")]


# Offsets


def in_utf16(text: str, span: Span) -> Span:
    start, end = (len(text[:at].encode("utf-16-le")) // 2 for at in (span.start, span.end))
    return span._replace(start=start, end=end)


EMOJI = f"{PENGUIN} Redis on {PENGUIN} Debian"
CODE_POINTS = (Span(2, 7, "SOFTWARE", "Redis"), Span(13, 19, "OS", "Debian"))
UTF16 = tuple(in_utf16(EMOJI, span) for span in CODE_POINTS)
ENTITIES = [tuple(span[:3]) for span in CODE_POINTS]


@pytest.mark.parametrize("unit", ["auto", "utf16"])
def test_offsets_in_utf16_are_converted_and_counted(unit: str) -> None:
    sentences, findings = cut(EMOJI, *UTF16, offset_unit=unit)
    assert entities_of(sentences) == ENTITIES
    assert kinds(findings) == {"offsets_in_utf16": 1}


@pytest.mark.parametrize("unit", ["auto", "code_points"])
def test_offsets_in_code_points_stay(unit: str) -> None:
    sentences, findings = cut(EMOJI, *CODE_POINTS, offset_unit=unit)
    assert entities_of(sentences) == ENTITIES
    assert list(findings) == []


def test_the_unit_is_that_of_most_spans() -> None:
    spans = (*UTF16, CODE_POINTS[1])
    with pytest.raises(
        DataError, match="of two UTF-16 units: correct it, set offset_unit, or choose"
    ):
        cut(EMOJI, *spans)
    sentences, findings = cut(EMOJI, *spans, invalid_spans="drop")
    assert entities_of(sentences) == ENTITIES
    assert kinds(findings) == {"span_invalid": 1, "offsets_in_utf16": 1}


def test_offsets_without_surfaces_count_code_points_and_are_told_unchecked() -> None:
    sentences, findings = cut(EMOJI, *(span._replace(surface=None) for span in CODE_POINTS))
    assert entities_of(sentences) == ENTITIES
    assert kinds(findings) == {"offsets_unchecked": 1}


def test_offsets_that_fit_in_both_units_are_told() -> None:
    sentences, findings = cut(f"{PENGUIN}aaaa", (1, 3, "X", "aa"), (3, 5, "X", "aa"))
    assert entities_of(sentences) == [(1, 3, "X"), (3, 5, "X")]
    sentences, findings = cut(f"{PENGUIN}aaaa", (2, 4, "X", "aa"))
    assert entities_of(sentences) == [(2, 4, "X")]
    assert findings.count("offsets_ambiguous") == 1


def test_an_end_within_a_pair_does_not_fit() -> None:
    with pytest.raises(DataError, match="an end falls within a character of two UTF-16 units"):
        cut(EMOJI, (1, 8, "SOFTWARE"), offset_unit="utf16")


# Spans of words


def test_words_are_tagged_by_word_numbers() -> None:
    tags, findings = tag(["Ubuntu", "20.04", "runs", "Redis"], (3, 4, "SW"), (0, 2, "OS"))
    assert tags == ["B-OS", "I-OS", "O", "B-SW"]
    assert list(findings) == []


@pytest.mark.parametrize(
    ("span", "fault"),
    [
        ((0, 4, "OS"), "span 0-4 OS: it is not within the 3 words"),
        ((-1, 1, "OS"), "span -1-1 OS: it is not within the 3 words"),
        ((2, 2, "OS"), "span 2-2 OS: it does not end after its start"),
        ((0, 2, "OS", "Redis"), "span 0-2 OS: the words there are 'Ubuntu 20.04', the file names"),
    ],
)
def test_a_span_outside_the_words_is_refused_or_left_out(span: tuple[Any, ...], fault: str) -> None:
    tokens = ["Ubuntu", "20.04", "runs"]
    with pytest.raises(DataError, match=f"^f:3: {re.escape(fault)}"):
        tag(tokens, span)
    tags, findings = tag(tokens, span, (1, 2, "V"), invalid_spans="drop")
    assert tags == ["O", "B-V", "O"]
    assert kinds(findings) == {"span_invalid": 1}


def test_spans_of_words_overlap_as_those_of_characters() -> None:
    tokens = ["a", "b", "c", "d"]
    spans = [(0, 2, "X"), (1, 4, "Y"), (0, 2, "X"), (0, 4, "Z", None, ((0, 1), (3, 4)))]
    tags, findings = tag(tokens, *spans)
    assert tags == ["O", "B-Y", "I-Y", "I-Y"]
    assert kinds(findings) == {"span_duplicate": 1, "span_overlapping": 1, "span_discontinuous": 1}
    assert tag(tokens, *spans, overlaps="first")[0] == ["B-X", "I-X", "O", "O"]


# Properties

CHARACTERS = st.one_of(
    st.sampled_from("aB.!?,()<>'`-_ \n\t\r\u00a0\u2028\u200b\ufe0f\\"),
    st.sampled_from(["é", "中", "\u0301", PENGUIN, "\U0001f1e9", "\U0010fffd"]),
    st.characters(),
)
TEXTS = st.lists(CHARACTERS, max_size=50).map("".join)
LABELS = st.sampled_from(["OS", "B-x", "a b", "\U0001f427"])


@st.composite
def annotated(draw: st.DrawFn) -> tuple[str, list[Span]]:
    """Draw a text, and spans within it of which some name their surface."""
    text = draw(TEXTS)
    spans = []
    for first, second, label, is_named in draw(
        st.lists(
            st.tuples(st.integers(0, len(text)), st.integers(0, len(text)), LABELS, st.booleans()),
            max_size=6,
        )
    ):
        start, end = sorted((first, second))
        spans.append(Span(start, end, label, text[start:end] if is_named else None))
    return text, spans


@settings(deadline=None, max_examples=300)
@given(annotated(), st.sampled_from(["longest", "first"]))
def test_entities_come_out_with_their_surface_and_label_or_are_counted(
    case: tuple[str, list[Span]], overlaps: str
) -> None:
    text, spans = case
    sentences, findings = cut(
        text, *spans, overlaps=overlaps, invalid_spans="drop", offset_unit="code_points"
    )
    text = encodable(text)
    if sentences:
        assert "".join(str(sentence.text) for sentence in sentences) == text
    else:
        assert not text.strip()
    for sentence in sentences:
        assert sentence.text is not None
        assert sentence.starts is not None
        for token, start in zip(sentence.tokens, sentence.starts, strict=True):
            assert token
            assert sentence.text[start : start + len(token)] == token
        assert [token for token in sentence.tokens if token.split() != [token]] == []
        assert len(sentence.tags) == len(sentence.tokens)
    entities = entities_of(sentences)
    assert len(entities) + left_out(findings) == len(spans)
    trimmed = set()
    for span in spans:
        for blank in (r"\s", rf"[\s{WITHOUT_GLYPH}]"):
            found = re.fullmatch(f"{blank}*(.*?){blank}*", text[span.start : span.end], re.DOTALL)
            assert found is not None
            trimmed.add((span.start + found.start(1), span.start + found.end(1), span.label))
    assert set(entities) <= trimmed
    assert all(one[1] <= next_[0] for one, next_ in pairwise(entities))


@settings(deadline=None, max_examples=200)
@given(annotated())
def test_what_no_entity_cuts_is_cut_as_it_is_served(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    sentences, findings = cut(text, *spans, invalid_spans="drop", offset_unit="code_points")
    served = split_sentences(encodable(text))
    borders = {offset for entity in entities_of(sentences) for offset in entity[:2]}
    begin, words = 0, []
    for sentence in sentences:
        for token, start in zip(sentence.tokens, sentence.starts or (), strict=True):
            words.append((begin + start, begin + start + len(token)))
        begin += len(sentence.text or "")
    expected, cut_words = [], 0
    for split in served:
        for start, end in zip(split.starts, split.ends, strict=True):
            inner = sorted(offset for offset in borders if start < offset < end)
            cut_words += bool(inner)
            expected += zip([start, *inner], [*inner, end], strict=True)
    assert words == expected
    assert findings.count("word_cut") == cut_words
    assert len(sentences) + findings.count("sentences_joined") == len(served)


@settings(deadline=None, max_examples=200)
@given(annotated())
def test_offsets_in_utf16_give_the_same_as_in_code_points(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    text = encodable(text)
    spans = [span._replace(surface=text[span.start : span.end]) for span in spans]
    expected, _ = cut(text, *spans, invalid_spans="drop", offset_unit="code_points")
    units = [in_utf16(text, span) for span in spans]
    assert cut(text, *units, invalid_spans="drop", offset_unit="utf16")[0] == expected
    sentences, findings = cut(text, *units, invalid_spans="drop")
    if not findings.count("offsets_ambiguous"):
        assert sentences == expected


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, 6),
    st.lists(
        st.builds(Span, st.integers(-1, 7), st.integers(-1, 7), LABELS, parts=st.just(())),
        max_size=6,
    ),
    st.sampled_from(["longest", "first"]),
)
def test_spans_of_words_come_out_or_are_counted(
    length: int, spans: list[Span], overlaps: str
) -> None:
    tags, findings = tag(["w"] * length, *spans, overlaps=overlaps, invalid_spans="drop")
    entities = [(entity.start, entity.end, entity.type) for entity in to_entities(tags)]
    assert set(entities) <= {span[:3] for span in spans}
    assert len(entities) + left_out(findings) == len(spans)
