"""Sentences become running texts: raw where the source gives them, else a stand-in of words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import Span, TextWithSpans
from ner_mlflow.data.running_text import RAW, STANDIN, running_texts, text_kind
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.data.spans import cut_text
from ner_mlflow.tagging.iob2 import Entity, to_entities

WORDS = st.lists(
    st.tuples(
        st.sampled_from(["Redis", ".", "(", ")", "7.1", "C++", "'s", "データ", "😀"]),
        st.sampled_from(["O", "B-OS", "B-SW"]),
    ),
    min_size=1,
    max_size=6,
)


def words(text: str, *tags: str, document: str | None = None, origin: str = "a:1") -> Sentence:
    tokens = tuple(text.split())
    return Sentence(tokens, tags or ("O",) * len(tokens), document, origin)


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        (
            "We run Redis 7.1.  It fails on\nUbuntu!",
            [Span(7, 12, "SW"), Span(13, 16, "V"), Span(31, 37, "OS")],
        ),
        ("我们用Redis。（它在Ubuntu上失败！）谢谢。", [Span(3, 8, "SW"), Span(12, 18, "OS")]),
    ],
    ids=["with blanks", "without blanks"],
)
def test_raw_texts_are_the_texts_of_the_source_with_their_spans(
    text: str, spans: list[Span]
) -> None:
    record = TextWithSpans(text, spans, 3, "ticket-9")
    sentences = [
        Sentence(tuple(cut.tokens), tuple(cut.tags), "ticket-9", "f:3", cut.text, tuple(cut.starts))
        for cut in cut_text(record, DataConfig(), Findings(), "test", "f:3")
        if cut.starts is not None
    ]
    assert len(sentences) > 1
    texts = running_texts(sentences)
    assert texts.kind == RAW
    (joined,) = texts.texts
    assert (joined.name, joined.text) == ("ticket-9", text)
    assert joined.entities == tuple(Entity(*span[:3]) for span in spans)


def test_a_stand_in_joins_words_and_puts_each_sentence_of_a_document_on_a_line() -> None:
    texts = running_texts(
        [
            words("Use Redis .", "O", "B-SW", "O", document="d"),
            words("it ( sometimes ) fails", document="d"),
            words("Ubuntu !", "B-OS", "O", document="e"),
            words("alone", origin="a:7"),
            words("alone", origin="a:8"),
        ]
    )
    assert texts.kind == STANDIN
    assert [(text.name, text.text) for text in texts.texts] == [
        ("d", "Use Redis.\nit (sometimes) fails"),
        ("e", "Ubuntu!"),
        ("a:7", "alone"),
        ("a:8", "alone"),
    ]
    assert texts.texts[0].entities == (Entity(4, 9, "SW"),)


def test_a_split_of_one_document_stands_for_many_texts() -> None:
    # Intervals draw whole texts, and of one text all draws are equal.
    split = [words("a", document="all"), words("b", document="all")]
    assert [text.text for text in running_texts(split).texts] == ["a", "b"]


def test_one_sentence_without_a_text_makes_a_stand_in_that_keeps_the_texts_of_others() -> None:
    split = [
        Sentence(("Redis", "."), ("B-SW", "O"), "d", "a:1", "  Redis .", (2, 8)),
        words("It fails .", document="d", origin="b:1"),
        words("no", document="e"),
    ]
    assert text_kind(split[:1]) == RAW
    assert text_kind(split) == STANDIN
    first, _ = running_texts(split).texts
    assert first.text == "  Redis .\nIt fails."
    assert first.entities == (Entity(2, 7, "SW"),)


@given(st.lists(st.tuples(WORDS, st.sampled_from([None, "d", "e"])), max_size=5))
def test_every_word_and_every_entity_stands_in_a_stand_in(
    split: list[tuple[list[tuple[str, str]], str | None]],
) -> None:
    sentences = [
        Sentence(tuple(w for w, _ in pairs), tuple(t for _, t in pairs), document, f"a:{number}")
        for number, (pairs, document) in enumerate(split)
    ]
    texts = running_texts(sentences).texts
    found = [text.text[start:end] for text in texts for start, end in text.words]
    assert found == [token for sentence in sentences for token in sentence.tokens]
    entities = [
        (text.text[entity.start : entity.end], entity.type)
        for text in texts
        for entity in text.entities
    ]
    assert entities == [
        (sentence.tokens[entity.start], entity.type)
        for sentence in sentences
        for entity in to_entities(sentence.tags)
    ]
    lengths = [length for text in texts for length in text.sentence_lengths]
    assert lengths == [len(sentence.tokens) for sentence in sentences]
