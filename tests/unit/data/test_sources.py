"""Corpora of every format: read right, or refused on one line, and never changed in silence."""

import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from corpora import (
    TEXT_FORMATS,
    TOKEN_FORMATS,
    Documents,
    draw_documents,
    write_brat,
)

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.annotated import annotated_texts
from ner_mlflow.data.findings import finding_kinds
from ner_mlflow.data.formats.base import AnnotatedText
from ner_mlflow.data.formats.registry import FORMATS, OUTPUTS
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.data.sources import Reading, read_corpus
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import to_entities

FUZZED_FILES = 5_000
WORKERS = 10
"""Parts of the fuzz, each a test."""
ENCODERS = {**TOKEN_FORMATS, **TEXT_FORMATS}
LOSSLESS = ("as it is", "byte order mark", "gzip", "upper case", "no last line end", "blank lines")


def read(path: Path, **settings: object) -> Reading:
    return read_corpus(DataConfig(dataset=str(path), label_map="keep", **settings))


def read_or_refuse(path: Path, **settings: object) -> Reading | str:
    try:
        return read(path, **settings)
    except DataError as error:
        return str(error)


def surfaces(sentences: Sequence[Sentence]) -> list[tuple[str, str]]:
    """Return the text and type of each entity, in order; words without a text are joined."""
    return [
        (text.text[span.start : span.end], span.label)
        for text in annotated_texts(sentences)
        for span in text.spans
    ]


def word_entities(sentences: Sequence[Sentence]) -> list[tuple[tuple[str, ...], str]]:
    return [
        (sentence.tokens[entity.start : entity.end], entity.type)
        for sentence in sentences
        for entity in to_entities(sentence.tags)
    ]


def write(folder: Path, name: str, documents: Documents, draw: random.Random) -> Path:
    suffix, encode = ENCODERS[name]
    path = folder / f"train.{suffix}"
    path.write_bytes(encode(documents, draw))
    return path


def disguise(path: Path, how: str) -> Path:
    """Change a file in a way that changes no label."""
    content = path.read_bytes()
    is_binary = path.suffix == ".parquet"
    if how == "byte order mark" and not is_binary:
        path.write_bytes(b"\xef\xbb\xbf" + content)
    elif how == "gzip" and not is_binary:
        path.unlink()
        path = path.with_name(f"{path.name}.gz")
        path.write_bytes(gzip.compress(content))
    elif how == "upper case":
        path = path.rename(path.with_name(path.name.upper()))
    elif how == "no last line end" and not is_binary:
        path.write_bytes(content.rstrip(b"\n"))
    elif how == "blank lines" and not is_binary:
        path.write_bytes(content + b"\n\n\n")
    return path


@pytest.mark.parametrize("name", [*ENCODERS, "brat"])
@pytest.mark.parametrize("how", LOSSLESS)
def test_every_format_is_read_by_its_content(tmp_path: Path, name: str, how: str) -> None:
    draw = random.Random(f"{name} {how}")
    documents = [document for _ in range(10) for document in draw_documents(draw)]
    if name == "brat":
        write_brat(documents, tmp_path)
    else:
        disguise(write(tmp_path, name, documents, draw), how)
    reading = read(tmp_path)
    assert {file.format.name for file in reading.files} == {name.partition(",")[0]}
    check_entities(reading, documents, name)


def check_entities(reading: Reading, documents: Documents, name: str) -> None:
    """Check that the corpus has the entities of the documents, all of them."""
    train = reading.corpus["train"]
    if name in TOKEN_FORMATS:
        expected = [
            (document.words[first:end], label)
            for document in documents
            for first, end, label in document.entities
        ]
        assert word_entities(train) == expected
    else:
        assert surfaces(train) == [pair for document in documents for pair in document.surfaces]


def lost_entities(reading: Reading) -> int:
    kinds = finding_kinds()
    return sum(
        finding.count
        for finding in reading.findings
        if kinds[finding.kind].effect == "left out" and kinds[finding.kind].unit == "entities"
    )


def damage(content: bytes, draw: random.Random) -> bytes:
    """Return the bytes of a file with one to three random faults."""
    for _ in range(draw.randint(1, 3)):
        size = max(len(content), 1)
        start = draw.randrange(size)
        end = min(size, start + draw.choice((1, 1, 2, 10, 100)))
        lines = content.split(b"\n")
        line = draw.randrange(len(lines))
        fault = draw.randrange(9)
        if fault == 0:
            content = content[:start]
        elif fault == 1:
            content = content[:start] + content[end:]
        elif fault == 2:
            content = content[:start] + draw.randbytes(end - start) + content[end:]
        elif fault == 3:
            content = content[:start] + content[start:end] * 2 + content[end:]
        elif fault == 4:
            content = b"\n".join(lines[:line] + lines[line + 1 :])
        elif fault == 5:
            content = b"\n".join([*lines[:line], lines[draw.randrange(len(lines))], *lines[line:]])
        elif fault == 6:
            content = content.replace(
                draw.choice((b"B-", b"I-", b"O", b'"', b"\t", b",", b":", b"1", b"]")),
                draw.choice(
                    (b"", b"-", b"null", b"E-", b" ", b"-1", b"[[", b"\\ud800", b"\xc2\xa0")
                ),
                draw.randint(1, 3),
            )
        elif fault == 7:
            content = (
                content[:start] + draw.choice((b"\n", b"\r", b"\0", b"\t\t")) + content[start:]
            )
        else:
            content = content[:start] + "\u2028\x85\ufeff🚀".encode() + content[start:]
    return content


@pytest.mark.parametrize("part", range(WORKERS))
def test_a_fuzzed_file_is_refused_on_one_line_or_read_and_written_without_loss(
    tmp_path: Path, part: int
) -> None:
    outcomes = {"refused": 0, "read": 0}
    for number in range(part, FUZZED_FILES, WORKERS):
        draw = random.Random(number)
        folder = tmp_path / str(number)
        folder.mkdir()
        documents = draw_documents(draw)
        name = draw.choice(list(ENCODERS))
        path = write(folder, name, documents, draw)
        is_damaged = draw.random() < 0.7
        if is_damaged:
            path.write_bytes(damage(path.read_bytes(), draw))
        else:
            disguise(path, draw.choice(LOSSLESS))
        reading = read_or_refuse(folder, invalid_spans=draw.choice(("error", "drop")))
        if isinstance(reading, str):
            what = f"{number}, {name}: {reading}"
            assert is_damaged, what
            assert "\n" not in reading, what
            assert str(folder) in reading, what
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        if not is_damaged:
            check_entities(reading, documents, name)
        check_round_trip(folder, reading, draw)
    assert min(outcomes.values()) > 50, outcomes


def check_round_trip(folder: Path, reading: Reading, draw: random.Random) -> None:
    """Check that what was read, written and read again is equal."""
    train = reading.corpus["train"]
    texts = list(annotated_texts(train))
    name = draw.choice(list(OUTPUTS))
    written = folder / "written"
    written.mkdir()
    path = written / f"train{OUTPUTS[name].suffixes[0]}"
    try:
        OUTPUTS[name].write(path, iter(texts))
    except DataError:  # the format cannot hold a word or a type of a damaged file, and says so
        path.unlink(missing_ok=True)
        name, path = "jsonl", written / "train.jsonl"
        OUTPUTS[name].write(path, iter(texts))
    again = read(written).corpus["train"] if texts else ()
    assert plain(annotated_texts(again), name) == plain(texts, name), (folder, name)


HIDDEN = dict.fromkeys(map(ord, "\u200b\ufeff"))
"""Removes hidden characters."""


def plain(texts: Sequence[AnnotatedText], name: str) -> list[tuple[str, str]]:
    """Return the entities without white space, which words of a file without text do not keep.

    Hidden characters between two words belong to neither, once the words are joined to a text.
    """
    return [
        ("".join(text.text[span.start : span.end].translate(HIDDEN).split()), span.label)
        for text in texts
        for span in text.spans
    ]


def faulty_spans(fault: str, span: tuple[int, int, str], text: str) -> list[object]:
    start, end, _ = span
    added = {
        "repeated": span,
        "nested": (start, end - 1, "OS"),
        "beyond the end": (start, len(text) + 7, "OS"),
        "reversed": (end, start, "OS"),
        "the whole text": (0, len(text), "OS"),
    }
    return [span, added[fault]]


@pytest.mark.parametrize(
    "fault", ["repeated", "nested", "beyond the end", "reversed", "the whole text"]
)
def test_entities_of_the_file_are_those_of_the_corpus_and_those_counted_as_left_out(
    tmp_path: Path, fault: str
) -> None:
    draw = random.Random(fault)
    rows, entities = [], 0
    for _ in range(200):
        (document, *_) = draw_documents(draw)
        spans: list[object] = list(document.spans)
        position = draw.randrange(len(spans))
        spans[position : position + 1] = faulty_spans(
            fault, document.spans[position], document.text
        )
        entities += len(spans)
        rows.append({"text": document.text, "label": spans})
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reading = read(path, invalid_spans="drop")
    kept = len(surfaces(reading.corpus["train"]))
    assert kept + lost_entities(reading) == entities
    assert lost_entities(reading) >= 200


def test_the_registry_names_each_format_once() -> None:
    assert set(FORMATS) == {name.partition(",")[0] for name in ENCODERS} | {"brat"}


def test_an_empty_split_tells_which_rows_were_left_out(tmp_path: Path) -> None:
    task = {"data": {"text": "Redis"}, "annotations": [], "predictions": [{"result": []}]}
    path = tmp_path / "train.json"
    path.write_text(json.dumps([task]), "utf-8")
    with pytest.raises(DataError, match=r"is empty \(rows that have no annotation: 1\): give"):
        read(path)


def test_a_split_without_entities_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("Redis B-SW\nruns O\n", "utf-8")
    (tmp_path / "test.conll").write_text("Redis O\nruns O\n", "utf-8")
    findings = read(tmp_path).findings
    assert findings.count("split_without_entities", "test") == 1
    assert findings.count("split_without_entities", "train") == 0


def test_spans_that_are_labelled_with_tags_are_told(tmp_path: Path) -> None:
    row = {"text": "Ubuntu Server", "label": [[0, 6, "B-OS"], [7, 13, "I-OS"]]}
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    assert read(path).findings.count("types_like_tags") == 1


def test_types_that_differ_in_case_or_white_space_only_are_told(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("Rome\tB-Loc\nand\tO\nOslo\tB-LOC\nwith\tO\nUbuntu\tB-OS\n", "utf-8")
    (told,) = [finding for finding in read(path).findings if finding.kind == "types_alike"]
    assert (told.count, told.places) == (2, (f"{path} 'LOC' and 'Loc'",))


def test_spans_of_a_row_of_blank_words_are_refused_or_counted_like_others(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    rows = [
        {"tokenized_text": ["Redis"], "ner": [[0, 0, "SW"]]},
        {"tokenized_text": [" "], "ner": [[0, 4, "SW"]]},
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(DataError, match="not within the 0 words"):
        read(path, blank_tokens="drop")
    findings = read(path, blank_tokens="drop", invalid_spans="drop").findings
    assert [findings.count(kind) for kind in ("span_invalid", "row_without_words")] == [1, 1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.tsv", "Redis   \tB-SW\nfails   \tO\n\nUse\tO\n"),
        ("train.csv", 'sent_id,word,tag\n1,"Redis\n",B-SW\n1, fails,O\n2,Use,O\n'),
        ("train.jsonl", '{"tokens": [" Redis", "fails "], "tags": ["B-SW", "O"]}\n'),
    ],
)
def test_words_lose_white_space_at_their_ends_and_it_is_told(
    tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    reading = read(path)
    assert reading.corpus["train"][0].tokens == ("Redis", "fails")
    assert reading.findings.count("word_trimmed", "train") == 2
