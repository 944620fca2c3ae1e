"""spaCy: rows, pairs and the binary DocBin, written and read by spaCy itself."""

import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from span_formats import read_file, read_rows, texts_of

from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import AnnotatedText
from ner_mlflow.data.formats.base import Span as OurSpan
from ner_mlflow.data.formats.registry import find_format
from ner_mlflow.data.formats.spacy import SPACY, SPACY_DOCBIN, write_spacy
from ner_mlflow.errors import DataError

TEXT = "Redis on Ubuntu"
ENTITIES = [[0, 5, "SW"], [9, 15, "OS"]]
READ = [(TEXT, [(0, 5, "SW"), (9, 15, "OS")])]


@pytest.mark.parametrize(
    "row",
    [
        {"text": TEXT, "entities": ENTITIES},
        [TEXT, {"entities": ENTITIES}],
        {"content": TEXT, "entities": ENTITIES, "cats": {}},
    ],
)
def test_rows_and_pairs_are_read(row: Any) -> None:
    assert texts_of(read_rows(SPACY, [row])) == READ


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([TEXT], "is not a pair"),
        ([TEXT, ENTITIES], "is not a pair"),
        ([None, {"entities": []}], "'text' is None, not text"),
        ([TEXT, {"cats": {}}], "no field 'entities' among 'cats'"),
        ({"text": TEXT}, "no field 'entities' among 'text'"),
        ({"text": TEXT, "entities": [[0, 5]]}, "is not a span"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(row: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^train.jsonl:1: .*{message}.*: "):
        read_rows(SPACY, [row])


def docbin(path: Path, *documents: Doc) -> Path:
    DocBin(docs=documents).to_disk(path)
    return path


def test_a_docbin_of_spacy_gives_its_entities_and_counts_the_rest(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    labelled, grouped, bare = nlp(TEXT), nlp(TEXT), nlp("never annotated")
    labelled.ents = [
        labelled.char_span(0, 5, label="SW"),
        labelled.char_span(9, 15, label="OS"),
    ]
    grouped.ents = []
    grouped.spans["sc"] = [Span(grouped, 0, 1, "SW"), Span(grouped, 0, 2, "SW")]
    path = docbin(tmp_path / "train.spacy", labelled, grouped, bare)
    findings = Findings()
    assert find_format(path) is SPACY_DOCBIN
    assert find_format(path, "spacy") is SPACY_DOCBIN
    assert texts_of(read_file(SPACY_DOCBIN, path, findings)) == [*READ, (TEXT, [])]
    assert findings.count("annotation_of_other_type", "train") == 2
    assert findings.count("row_without_annotation", "train") == 1


def test_spacy_reads_the_docbin_that_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.spacy"
    text = "  😀 v1.2\n\n on\tUbuntu "
    write_spacy(path, [AnnotatedText(text, [OurSpan(5, 8, "V"), OurSpan(14, 20, "OS")], "a")])
    (document,) = DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab)
    assert document.text == text
    assert [(entity.text, entity.label_) for entity in document.ents] == [
        ("1.2", "V"),
        ("Ubuntu", "OS"),
    ]
    (record,) = read_file(SPACY_DOCBIN, path)
    assert record.document == "a"


@pytest.mark.parametrize("content", [b"", b"x\x9cjunk"])
def test_a_broken_docbin_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.spacy"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a DocBin that spaCy can read") as caught:
        read_file(SPACY_DOCBIN, path)
    assert "\n" not in str(caught.value)


def test_without_spacy_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    monkeypatch.setitem(sys.modules, "spacy.tokens", None)
    with pytest.raises(DataError, match=r"pip install 'ner-mlflow\[spacy\]'"):
        read_file(SPACY_DOCBIN, tmp_path / "x.spacy")
    with pytest.raises(DataError, match=r"pip install 'ner-mlflow\[spacy\]'"):
        write_spacy(tmp_path / "x.spacy", [])
    assert texts_of(read_rows(SPACY, [[TEXT, {"entities": ENTITIES}]])) == READ
