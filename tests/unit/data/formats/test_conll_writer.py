"""CoNLL: what is written reads as the same words and tags, or is refused."""

from pathlib import Path

import pytest
from span_formats import read_file

from ner_mlflow.data.formats.base import AnnotatedText, Span
from ner_mlflow.data.formats.conll_writer import write_conll
from ner_mlflow.data.formats.registry import FORMATS
from ner_mlflow.errors import DataError


def written(folder: Path, *texts: AnnotatedText) -> str:
    path = folder / "x.conll"
    write_conll(path, texts)
    return path.read_bytes().decode()


def words(*tokens: str, document: str | None = None) -> AnnotatedText:
    """Return a text of given words, which make up one sentence."""
    text, bounds = "", []
    for token in tokens:
        bounds.append((len(text), len(text) + len(token)))
        text += token + " "
    return AnnotatedText(text, [], document, bounds)


def test_a_sentence_is_lines_of_word_and_tag(tmp_path: Path) -> None:
    text = "Use Redis.\nTry Fedora Server"
    spans = [Span(4, 9, "SW"), Span(15, 28, "OS")]
    assert written(tmp_path, AnnotatedText(text, spans)) == (
        "Use\tO\nRedis\tB-SW\n.\tO\n\nTry\tO\nFedora\tB-OS\nServer\tI-OS\n\n"
    )


def test_sentences_are_joined_where_an_entity_runs_across(tmp_path: Path) -> None:
    text = AnnotatedText("Use Node.js.\n\nIt is", [Span(4, 16, "SW")])
    assert written(tmp_path, text) == ("Use\tO\nNode.js\tB-SW\n.\tI-SW\nIt\tI-SW\nis\tO\n\n")


def test_given_words_and_sentences_are_kept(tmp_path: Path) -> None:
    text = AnnotatedText("a. B c", [], None, [(0, 2), (3, 4), (5, 6)], sentence_lengths=[2, 1])
    assert written(tmp_path, text) == "a.\tO\nB\tO\n\nc\tO\n\n"


def test_documents_are_marked_if_there_are_several_texts(tmp_path: Path) -> None:
    assert written(tmp_path, words("a", document="x")) == "a\tO\n\n"
    mark = "-DOCSTART-\tO\n\n"
    texts = [words(word, document=name) for word, name in zip("abc", "xxy", strict=True)]
    assert written(tmp_path, *texts) == f"{mark}a\tO\n\nb\tO\n\n{mark}c\tO\n\n"
    assert written(tmp_path, words("a"), words("b")) == "a\tO\n\nb\tO\n\n"


@pytest.mark.parametrize("word", ["#", "#x", "##", "\ufeff", "\ufeffx", "-", "New York", "\0"])
def test_words_that_look_like_marks_come_back(tmp_path: Path, word: str) -> None:
    write_conll(tmp_path / "x.conll", [words(word, "b")])
    (record,) = read_file(FORMATS["conll"], tmp_path / "x.conll")
    assert list(record.tokens) == [word, "b"]


@pytest.mark.parametrize(
    "word", ["-DOCSTART-", "-DOCSTART-x", "# x", "a\tb", "a\nb", "a\rb", "\xa0"]
)
def test_words_that_would_read_as_something_else_are_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(DataError, match=r"CoNLL cannot hold .*: write another format"):
        write_conll(tmp_path / "x.conll", [words("a", word)])


@pytest.mark.parametrize("label", ["a\tb", "a\nb", "a "])
def test_types_that_would_read_as_something_else_are_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(DataError, match="CoNLL cannot hold"):
        write_conll(tmp_path / "x.conll", [AnnotatedText("Redis", [Span(0, 5, label)])])


def test_an_entity_without_a_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"entity ' ' of type OS holds no word"):
        write_conll(tmp_path / "x.conll", [AnnotatedText("a b", [Span(1, 2, "OS")])])
