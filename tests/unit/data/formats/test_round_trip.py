"""Every format that can be written and read: out and in again gives the same entities."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from span_formats import annotated_texts, read_file, texts_of

from ner_mlflow.data.formats.base import AnnotatedText, Span, TaggedWords, WordsWithSpans
from ner_mlflow.data.formats.registry import FORMATS, OUTPUTS, find_format
from ner_mlflow.data.formats.word_cuts import cut_words
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import to_entities

TEXT_OUTPUTS = {
    "label_studio": "x.json",
    "doccano": "x.jsonl",
    "prodigy": "x.jsonl.gz",
    "spacy": "x.jsonl",
    "jsonl": "x.jsonl",
    "parquet": "x.parquet",
}
NAMES = {"jsonl": "entity_rows", "parquet": "entity_rows"}
SLOW = settings(
    max_examples=350,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
EMOJI = AnnotatedText(
    "👨🏻‍🚒 runs Node.js\r\non C++", [Span(10, 17, "SW"), Span(22, 25, "SW")], "a"
)
TEXTS = st.lists(annotated_texts(), min_size=1, max_size=4)


def entities_over_words(texts: list[AnnotatedText]) -> list[tuple[tuple[str, ...], str]]:
    found = []
    for text in texts:
        cuts = cut_words(text)
        for span, (first, end) in zip(text.spans, cuts.entities, strict=True):
            words = range(first, end)
            found.append(
                (
                    tuple(text.text[cuts.starts[word] : cuts.ends[word]] for word in words),
                    span.label,
                )
            )
    return found


@pytest.mark.parametrize("output", TEXT_OUTPUTS)
@SLOW
@given(texts=TEXTS)
@example(texts=[EMOJI])
def test_texts_and_their_entities_come_back(
    tmp_path: Path, output: str, texts: list[AnnotatedText]
) -> None:
    path = tmp_path / TEXT_OUTPUTS[output]
    OUTPUTS[output].write(path, texts)
    records = read_file(FORMATS[NAMES.get(output, output)], path)
    assert texts_of(records) == [(text.text, [span[:3] for span in text.spans]) for text in texts]
    assert [record.document for record in records] == [text.document for text in texts]


@SLOW
@given(texts=TEXTS)
@example(texts=[EMOJI])
def test_texts_and_their_entities_come_back_from_a_docbin(
    tmp_path: Path, texts: list[AnnotatedText]
) -> None:
    path = tmp_path / "x.spacy"
    OUTPUTS["spacy"].write(path, texts)
    records = read_file(find_format(path), path)
    assert texts_of(records) == [(text.text, [span[:3] for span in text.spans]) for text in texts]


@SLOW
@given(texts=TEXTS)
@example(texts=[EMOJI])
def test_words_and_their_entities_come_back_from_conll(
    tmp_path: Path, texts: list[AnnotatedText]
) -> None:
    path = tmp_path / "x.conll"
    words = [
        text.text[start:end]
        for text in texts
        for start, end in zip(*cut_words(text)[:2], strict=True)
    ]
    if any(word.startswith("-DOCSTART-") for word in words):
        with pytest.raises(DataError, match="read as a mark"):
            OUTPUTS["conll"].write(path, texts)
        return
    OUTPUTS["conll"].write(path, texts)
    records = read_file(FORMATS["conll"], path)
    assert all(isinstance(record, TaggedWords) for record in records)
    assert [word for record in records for word in record.tokens] == words
    assert [
        (tuple(record.tokens[entity.start : entity.end]), entity.type)
        for record in records
        if isinstance(record, TaggedWords)
        for entity in to_entities(record.tags)
    ] == entities_over_words(texts)


@SLOW
@given(texts=TEXTS)
@example(texts=[EMOJI])
def test_words_and_their_entities_come_back_from_gliner(
    tmp_path: Path, texts: list[AnnotatedText]
) -> None:
    path = tmp_path / "x.json"
    OUTPUTS["gliner"].write(path, texts)
    records = read_file(FORMATS["gliner"], path)
    assert [
        (tuple(record.tokens[span.start : span.end]), span.label)
        for record in records
        if isinstance(record, WordsWithSpans)
        for span in record.spans
    ] == entities_over_words(texts)


@pytest.mark.parametrize("output", ["label_studio", "doccano", "prodigy", "spacy", "jsonl"])
def test_json_carries_half_of_a_surrogate_pair(tmp_path: Path, output: str) -> None:
    path = tmp_path / TEXT_OUTPUTS[output]
    OUTPUTS[output].write(path, [AnnotatedText("a \ud83d b", [Span(2, 3, "OS")])])
    (record,) = read_file(FORMATS[NAMES.get(output, output)], path)
    assert texts_of([record]) == [("a \ud83d b", [(2, 3, "OS")])]


@pytest.mark.parametrize(
    ("output", "name", "text"),
    [
        ("conll", "x.conll", AnnotatedText("a \ud83d b", [])),
        ("parquet", "x.parquet", AnnotatedText("a \ud83d b", [])),
        ("parquet", "x.parquet", AnnotatedText("a", [], "\ud83d")),
        ("spacy", "x.spacy", AnnotatedText("a \ud83d b", [])),
        ("spacy", "x.spacy", AnnotatedText("a", [], "\ud83d")),
    ],
)
def test_what_utf8_cannot_hold_is_refused(
    tmp_path: Path, output: str, name: str, text: AnnotatedText
) -> None:
    with pytest.raises(DataError, match="surrogate") as caught:
        OUTPUTS[output].write(tmp_path / name, [text])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("output", OUTPUTS)
def test_texts_are_written_as_a_stream(tmp_path: Path, output: str) -> None:
    read = 0

    def texts() -> object:
        nonlocal read
        for number in range(3):
            read += 1
            yield AnnotatedText(f"Redis {number}", [Span(0, 5, "SW")])

    write: Callable[..., None] = OUTPUTS[output].write
    write(tmp_path / f"x{OUTPUTS[output].suffixes[0]}", texts())
    assert read == 3
    write(tmp_path / f"y{OUTPUTS[output].suffixes[0]}", iter(()))
    assert (tmp_path / f"y{OUTPUTS[output].suffixes[0]}").exists()
