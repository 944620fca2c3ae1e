"""CoNLL files: a word and its tags a line, a blank line between sentences."""

from collections.abc import Iterator
from pathlib import Path

from ...config.schema import DataConfig
from ...errors import DataError
from ..files import read_lines
from ..findings import Findings
from .base import Format, Head, TaggedWords


def read_conll(
    path: Path,
    config: DataConfig,  # noqa: ARG001
    findings: Findings,  # noqa: ARG001
    split: str,  # noqa: ARG001
) -> Iterator[TaggedWords]:
    """Yield the sentences of a file.

    Tabs or blanks separate the columns; the first is the token, the last the tag. A line
    ``-DOCSTART-`` begins a new document.

    Raises:
        DataError: a line has one column, or the text is not UTF-8.
    """
    tokens: list[str] = []
    tags: list[str] = []
    document = 0
    first_line = 1
    for number, line in read_lines(path):
        if not line.strip() or line.startswith("-DOCSTART-"):
            if tokens:
                yield TaggedWords(tokens, tags, first_line, _name(path, document))
                tokens, tags = [], []
            document += line.startswith("-DOCSTART-")
            continue
        columns = line.split("\t") if "\t" in line else line.strip(" ").split(" ")
        if len(columns) < 2 or not columns[0].strip():
            raise DataError(
                f"{path}:{number}: {line!r} has {len(columns)} column, "
                "a token and a tag are needed: add the missing one"
            )
        if not tokens:
            first_line = number
        tokens.append(columns[0])
        tags.append(columns[-1].strip())
    if tokens:
        yield TaggedWords(tokens, tags, first_line, _name(path, document))


def _name(path: Path, document: int) -> str | None:
    return f"{path.name}#{document}" if document else None


def _matches(head: Head) -> bool:
    return head.kind == "lines" and all(len(line.split()) > 1 for line in head.lines)


CONLL = Format(
    name="conll",
    title="CoNLL",
    summary="a word and its tags a line, in columns; a blank line ends a sentence",
    example="Redis\tB-SOFTWARE\non\tO\nUbuntu\tB-OS\n",
    matches=_matches,
    read=read_conll,
    is_rows=False,
    suffixes=(".conll", ".iob2", ".bio", ".txt", ".tsv"),
)
