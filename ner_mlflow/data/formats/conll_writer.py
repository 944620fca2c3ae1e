"""Write CoNLL files: one word and its tag per line, separated by a tab."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from ...errors import DataError
from .base import AnnotatedText
from .json_files import open_output
from .span_items import shown
from .word_cuts import cut_sentences

DOCUMENT_MARK = "-DOCSTART-"
BYTE_ORDER_MARK = "\ufeff"
COMMENT_MARK = "# "
SEPARATORS = ("\t", "\n", "\r")


def write_conll(path: Path, texts: Iterable[AnnotatedText]) -> None:
    """Write the sentences of texts with a blank line after each, and their tags in IOB2.

    A line ``-DOCSTART-`` begins each document. There is none if there is only one text, and none
    for texts without a document.

    Raises:
        DataError: the format cannot hold a word or a type.
    """
    with open_output(path) as file:
        is_first = True
        for text, begins_document in _with_marks(texts):
            block = f"{DOCUMENT_MARK}\tO\n\n" if begins_document else ""
            for sentence in cut_sentences(text):
                lines = zip(sentence.words, sentence.tags, strict=True)
                block += "".join(f"{_check(word)}\t{_check(tag)}\n" for word, tag in lines) + "\n"
            if is_first and block.startswith(BYTE_ORDER_MARK):  # a reader skips the first one
                block = BYTE_ORDER_MARK + block
            is_first = is_first and not block
            try:
                file.write(block.encode())
            except UnicodeEncodeError as error:
                raise DataError(
                    f"text {shown(text.document or text.text)}: "
                    f"{error.object[error.start]!r} is half of a surrogate pair, which UTF-8 "
                    "cannot hold: write a JSON format"
                ) from error


def _with_marks(texts: Iterable[AnnotatedText]) -> Iterator[tuple[AnnotatedText, bool]]:
    """Yield each text, and whether a line is to mark that its document begins there."""
    iterator = iter(texts)
    first = next(iterator, None)
    if first is None:
        return
    second = next(iterator, None)
    if second is None:
        yield first, False
        return
    document = None
    for text in chain((first, second), iterator):
        yield text, text.document not in (None, document)
        document = text.document


def _check(field: str) -> str:
    """Return a word or tag that a reader would read back unchanged.

    Raises:
        DataError: a reader would not.
    """
    if (
        field != field.strip()
        or not field
        or any(separator in field for separator in SEPARATORS)
        or field.startswith((DOCUMENT_MARK, COMMENT_MARK))
    ):
        raise DataError(
            f"CoNLL cannot hold {shown(field)}, which would be read as a mark, a blank or several "
            "columns: write another format"
        )
    return field
