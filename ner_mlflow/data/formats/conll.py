"""CoNLL files: one word with its tags per line, and a blank line between sentences."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from ...config.schema import DataConfig
from ...errors import DataError
from ...redaction import shorten
from ..files import read_line_blocks
from ..findings import Findings
from ..schemes import PREFIXES
from .base import Format, Head, TaggedWords
from .blank_tokens import BlankTokens, is_blank
from .columns import (
    SAMPLE_ROWS,
    Columns,
    choose_columns,
    find_separator,
    heads_columns,
    holds_columns,
    is_header,
    modal_columns,
    split_cells,
)
from .document_lines import Documents, begins_document
from .tag_names import open_tag_names, read_tag

OWN_SUFFIXES = (".conll", ".iob", ".iob2", ".bio", ".bioes", ".bilou")
"""Suffixes that no other format has."""
COMMENT_WORDS = (
    *("sent_id", "text", "newdoc", "newpar", "id", "global.columns", "meta"),
    *("begin", "end"),  # of documents, in CoNLL-2012
)
"""A line ``#`` with one of these words is a comment, even if it has as many cells as others."""
SHOWN_CHARACTERS = 60
"""Characters of a line that a message shows."""
MARKS = "#-"
"""First characters of lines that may be comments or begin a document."""
GLOBAL_COLUMNS = re.compile(r"#\s*global\.columns\s*=\s*(.*)")
COMMENT = re.compile(rf"#\s*({'|'.join(map(re.escape, COMMENT_WORDS))})(\s.*|=.*|:.*|$)", re.DOTALL)

Blocks = Iterator[tuple[int, list[str]]]


def read_conll(
    path: Path, config: DataConfig, findings: Findings, split: str
) -> Iterator[TaggedWords]:
    """Yield the sentences of a file.

    Tabs or blanks separate the columns, and all rows have as many columns as the first rows. A line
    ``-DOCSTART-`` or ``# newdoc`` begins a new document. The fact ``columns`` records the columns.

    Raises:
        DataError: the columns are ambiguous, a row has another number of columns, a word is blank,
            or the text is not UTF-8.
    """
    sample, blocks = _read_sample(path)
    layout = _Layout(path, sample, config)
    if layout.header:
        line = sample[layout.header - 1]
        findings.add(
            "header_skipped", split, f"{path}:{layout.header}", shorten(line, SHOWN_CHARACTERS)
        )
        blocks = _without_line(blocks, layout.header)
    if layout.has_rows:
        findings.facts[split, "columns"] = str(layout.columns)
    documents = Documents(path, findings, split)
    blanks = BlankTokens(config, findings, split)
    blanks.learn(layout.tags)
    names = open_tag_names(config, path)
    known: dict[str, str] = {}
    separator, count = layout.separator, layout.columns.count
    word_at, tag_at = layout.columns.word, layout.columns.tag
    splits_blanks = separator == " "
    tokens: list[str] = []
    tags: list[str] = []
    has_blank = False
    is_first = True
    first_line = 1
    for first, lines in chain(blocks, [(0, [""])]):  # a blank line ends the last sentence
        for number, line in enumerate(lines, first):
            cells = line.split(separator)
            if splits_blanks and "" in cells:
                cells = [cell for cell in cells if cell]
            if (
                len(cells) != count
                or line[0] in MARKS
                or not (word := cells[word_at])
                or word.isspace()
            ):
                kind = layout.kind_of(line, cells, bool(tokens))
                if kind == "word":
                    cells = layout.fit(line, cells, number)
                    word = cells[word_at]
                    if is_blank(word):
                        blanks.refuse(f"{path}:{number}", word)
                        has_blank = True
                elif kind == "comment":
                    findings.add(
                        "comment_skipped",
                        split,
                        f"{path}:{number}",
                        shorten(line, SHOWN_CHARACTERS),
                    )
                    continue
                else:  # blank, document
                    if tokens:
                        is_first = False
                        document = documents.name
                        if not has_blank:
                            yield TaggedWords(tokens, tags, first_line, document)
                        elif sentence := blanks.finish(
                            tokens, tags, f"{path}:{first_line}", first_line, document
                        ):
                            yield sentence
                        tokens, tags, has_blank = [], [], False
                    if kind == "document":
                        documents.begin(line, number, is_first)
                    continue
            tag = known.get(cells[tag_at])
            if tag is None:
                layout.columns.check_row(cells, f"{path}:{number}")
                cell = cells[tag_at]
                tag = known[cell] = read_tag(cell.strip(" \t"), names, f"{path}:{number}")
            if not tokens:
                first_line = number
            tokens.append(word)
            tags.append(tag)


class _Layout:
    """How to read the lines of a file, as its beginning shows.

    Attributes:
        separator: a tab or a blank.
        columns: the columns.
        has_rows: whether the sample has rows.
        header: the number of the line with the names of the columns; 0: there is none.
        tags: the different tags of the sample.
    """

    def __init__(self, path: Path, sample: Sequence[str], config: DataConfig) -> None:
        self._path = path
        self.header = 0
        lines = [line for line in sample if line and not line.isspace()]
        plain = [line for line in lines if line[0] not in MARKS or not _is_marked(line)]
        takes_marked = not plain  # words of such a file may be #
        plain = plain or lines
        self.separator = find_separator(plain)
        count = self._count(plain)
        names = self._find_header(sample, count, config)
        # All cells in a row: lists of cells would keep Python's collector of garbage busy.
        flat: list[str] = []
        starts = [0]
        for number, line in enumerate(sample, start=1):
            if not line or line.isspace():
                starts.append(len(flat) // count)
            elif takes_marked or line[0] not in MARKS or not _is_marked(line):
                cells = split_cells(line.rstrip(" "), self.separator)
                if len(cells) != count:
                    cells = self._trim(line, count)
                if len(cells) == count and number != self.header:
                    flat += cells
        starts.append(len(flat) // count)
        self.has_rows = bool(flat)
        self.columns = Columns(0, max(count, 2) - 1, max(count, 2))
        if flat:
            values = [flat[at::count] for at in range(count)]
            self.columns = choose_columns(values, starts, names, config, str(path))
        self.tags = [tag.strip(" \t") for tag in {*flat[self.columns.tag :: count]}]
        self._known_tags = {tag for tag in self.tags if tag}

    def kind_of(self, line: str, cells: Sequence[str], is_inside: bool) -> str:
        """Return what a line is: word, blank, document or comment.

        Args:
            line: the line.
            cells: its cells.
            is_inside: words of its sentence came before it.
        """
        if not line or line.isspace():
            return "blank"
        if line[0] in MARKS and begins_document(line):
            # In two columns, "# newdoc" may be a word with a tag.
            if line[0] == "-" or len(cells) != self.columns.count or not self._has_tag(cells):
                return "document"
            return "document" if self.columns.count > 2 and not is_inside else "word"
        if line[0] != "#":
            return "word"
        if len(cells) == self.columns.count:
            begins_comment = line[1:2] in (" ", "\t", "#")
            if self._has_tag(cells):
                is_comment = self.columns.count > 2 and not is_inside and self._is_named(line)
            else:
                is_comment = begins_comment or self._is_named(line)
            return "comment" if is_comment else "word"
        is_comment = line[1:2] in (" ", "\t", "#", "") or len(cells) == 1 or self._is_named(line)
        return "comment" if is_comment else "word"

    def fit(self, line: str, cells: Sequence[str], number: int) -> list[str]:
        """Return the cells of a row.

        Raises:
            DataError: there are more or fewer cells than the file has columns.
        """
        count = self.columns.count
        fitting = self._trim(line, count)
        if len(fitting) == count:
            return fitting
        found = len(cells)
        blanks = "tabs" if self.separator == "\t" else "blanks"
        raise DataError(
            f"{self._path}:{number}: {found} column{'s' * (found != 1)} where the file has "
            f"{count}: {shorten(line, SHOWN_CHARACTERS)!r}: give {count} columns, separated "
            f"by {blanks}"
        )

    def _trim(self, line: str, count: int) -> list[str]:
        """Return the cells of a line; if there are too many, ignore separators at its end."""
        cells = split_cells(line, self.separator)
        if len(cells) > count:
            return split_cells(line.rstrip(" \t"), self.separator)
        return cells

    def _count(self, lines: Sequence[str]) -> int:
        """Return how many columns a file has; a last column that is always empty does not count."""
        if not lines:
            return 2
        separator = self.separator
        if separator == " ":
            return Counter(len(split_cells(line, separator)) for line in lines).most_common(1)[0][0]
        count = Counter([line.count(separator) for line in lines]).most_common(1)[0][0] + 1
        while count > 2 and all(line.rstrip(" ")[-1] == "\t" for line in lines):
            lines = [line.rstrip(" ")[:-1] for line in lines]
            count -= 1
        return count

    def _find_header(
        self, sample: Sequence[str], count: int, config: DataConfig
    ) -> tuple[str, ...]:
        """Return the names of the columns, and note the line of a header."""
        chosen = (config.token_column, config.tag_column)
        for number, line in enumerate(sample, start=1):
            if not line or line.isspace():
                continue
            if match := GLOBAL_COLUMNS.fullmatch(line):
                names = tuple(match[1].split())
                return names if len(names) == count else ()
            is_marked = line[0] == "#"
            cells = self._trim(line.lstrip("# ") if is_marked else line, count)
            if len(cells) == count and (
                is_header(cells, *chosen)
                or (not is_marked and heads_columns(cells, self._rows(sample[number:], count)))
            ):
                self.header = number
                return tuple(cells)
            if not is_marked and not begins_document(line):
                return ()
        return ()

    def _rows(self, lines: Sequence[str], count: int) -> Iterator[list[str]]:
        """Yield the cells of the lines that are rows."""
        for line in lines:
            if line and not line.isspace() and len(cells := self._trim(line, count)) == count:
                yield cells

    def _has_tag(self, cells: Sequence[str]) -> bool:
        tag = cells[self.columns.tag].strip(" \t")
        return tag in self._known_tags or re.fullmatch(f"O|[{PREFIXES}]-.+", tag) is not None

    def _is_named(self, line: str) -> bool:
        return COMMENT.fullmatch(line) is not None


def _read_sample(path: Path) -> tuple[list[str], Blocks]:
    """Return the lines of the beginning of a file, and all its blocks of lines."""
    blocks = read_line_blocks(path)
    read: list[tuple[int, list[str]]] = []
    size = 0
    for block in blocks:
        read.append(block)
        size += len(block[1])
        if size >= SAMPLE_ROWS:
            break
    return [line for _, lines in read for line in lines][:SAMPLE_ROWS], chain(read, blocks)


def _without_line(blocks: Blocks, number: int) -> Blocks:
    """Yield blocks with a blank line in place of one that was already read."""
    for first, lines in blocks:
        if first <= number < first + len(lines):
            lines[number - first] = ""
        yield first, lines


def _is_marked(line: str) -> bool:
    return line[0] == "#" or begins_document(line)


def _matches(head: Head) -> bool:
    if head.kind != "lines":
        return False
    # A file with broken rows is still CoNLL: reading reports them.
    return (
        not head.lines
        or modal_columns(head.lines) > 1
        or holds_columns(head.lines)
        or (head.suffix in OWN_SUFFIXES and any(len(line.split()) > 1 for line in head.lines))
    )


CONLL = Format(
    name="conll",
    title="CoNLL",
    summary="one word with its tags per line, in columns; a blank line ends a sentence",
    example="Redis\tB-SOFTWARE\non\tO\nUbuntu\tB-OS\n",
    matches=_matches,
    read=read_conll,
    is_rows=False,
    suffixes=(".conll", ".iob2", ".bio", ".txt", ".tsv"),
)
