"""CSV tables: one word per row with a column of sentences, or one sentence per row."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from ...config.schema import DataConfig
from ...errors import DataError
from ..files import read_lines
from ..findings import Findings
from .base import Format, Head, TaggedWords
from .blank_tokens import BlankTokens, is_blank
from .columns import (
    SAMPLE_ROWS,
    Columns,
    choose_columns,
    find_role,
    heads_columns,
    holds_tags,
    is_header,
    normalize,
)
from .list_texts import is_list_text, read_list_text
from .tag_names import open_tag_names, read_tag

SEPARATORS = (",", ";", "\t", "|")
CSV_SUFFIXES = (".csv", ".tsv")
MOST_WORDS = 5_000
"""A longer sentence shows that the table does not mark the ends of sentences."""
TEXT_NAME = "sentence"
"""The name of a column that holds numbers of sentences, or their texts where no other does."""

_DIRECTIVE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
Row = tuple[int, list[str]]
"""The number of a row's first line, and its cells."""


def read_csv(
    path: Path, config: DataConfig, findings: Findings, split: str
) -> Iterator[TaggedWords]:
    """Yield the sentences of a table.

    If a row is a word, a sentence begins where the column of sentences has a new value, or that of
    documents. The value may be in every row of the sentence or only in the first. Without a column
    of sentences, an empty row ends a sentence. If a row is a sentence, words and tags are lists, or
    are separated by blanks.

    Raises:
        DataError: the columns are ambiguous, a row has another number of cells, a quote is broken,
            the ends of sentences are unknown, or the text is not UTF-8.
    """
    table = _Table(path, config, findings, split)
    if table.is_empty:
        return
    findings.facts[split, "columns"] = str(table.columns)
    read = _read_sentence_rows if table.holds_sentences else _read_word_rows
    yield from read(table, config, findings, split)


class _Table:
    """An open table.

    Attributes:
        path: the file.
        columns: the columns of words and tags.
        sentence: position of the column of sentences, or None.
        document: position of the column of documents, or None.
        holds_sentences: a row is a sentence, not a word.
        rows: all rows after the header.
        is_empty: whether there are no rows.
        tags: the different tags of the first rows.
    """

    def __init__(self, path: Path, config: DataConfig, findings: Findings, split: str) -> None:
        self.path = path
        begins = list(islice((each for each in read_lines(path) if each[1].strip()), 2))
        directive = _find_directive(begins[0][1]) if begins and begins[0][0] == 1 else None
        if directive:
            findings.add("header_skipped", split, f"{path}:1", begins.pop(0)[1])
        line = begins[0][1] if begins else ""
        separator = directive or _find_separator(line, config)
        rows = _read_rows(path, separator, _has_padding(line, separator))
        first = next(((line, cells) for line, cells in rows if any(cells)), None)
        self.is_empty = first is None
        self.tags: list[str] = []
        self.columns = Columns(0, 1, 2)
        self.sentence: int | None = None
        self.document: int | None = None
        self.holds_sentences = False
        if first is None:
            return
        self._count = len(first[1])
        begin = list(islice(rows, SAMPLE_ROWS))
        names = _header(first[1], begin, config)
        if names:
            findings.add("header_skipped", split, f"{path}:{first[0]}", separator.join(names))
        else:
            begin.insert(0, first)
        self.is_empty = not any(any(cells) for _, cells in begin)
        self.rows = chain(begin, rows)
        sample = [self.fit(row) for row in begin if any(row[1])]
        self.holds_sentences = self._find_columns(sample, names, config)
        if not self.holds_sentences:
            self.tags = list({cells[self.columns.tag] for cells in sample})

    def fit(self, row: Row) -> list[str]:
        """Return the cells of a row.

        Raises:
            DataError: there are more or fewer than in the first row.
        """
        line, cells = row
        if len(cells) != self._count:
            raise DataError(
                f"{self.path}:{line}: {len(cells)} cell{'s' * (len(cells) != 1)} where the first "
                f"row has {self._count}: put cells that hold separators in quotes"
            )
        return cells

    def _find_columns(
        self, sample: Sequence[list[str]], names: Sequence[str], config: DataConfig
    ) -> bool:
        """Choose the columns; return whether a row is a sentence."""
        count = self._count
        values = [[cells[at] for cells in sample] for at in range(count)]
        word, tag = find_role(names, "word"), find_role(names, "tag")
        self.sentence = find_role(names, "sentence")
        self.document = find_role(names, "document")
        if word is None and self.sentence is not None:
            if normalize(names[self.sentence]) != TEXT_NAME and TEXT_NAME in map(normalize, names):
                self.sentence = list(map(normalize, names)).index(TEXT_NAME)
            if normalize(names[self.sentence]) == TEXT_NAME:
                word, self.sentence = self.sentence, None
        given = _given_tag(names, config, count)
        tags = values[given if given is not None else tag if tag is not None else count - 1]
        holds_sentences = _hold_sentences(tags)
        if holds_sentences:
            config = config.model_copy(
                update={
                    "token_column": config.token_column or str((word or 0) + 1),
                    "tag_column": config.tag_column or str((count - 1 if tag is None else tag) + 1),
                }
            )
        elif word is not None and not config.token_column:
            config = config.model_copy(update={"token_column": str(word + 1)})
        starts = self._starts(sample)
        self.columns = choose_columns(values, starts, names, config, str(self.path))
        if self.columns.word == self.sentence:
            self.sentence = None
        return holds_sentences

    def _starts(self, sample: Sequence[list[str]]) -> list[int]:
        starts = {0, len(sample)}
        for at in (self.sentence, self.document):
            if at is not None:
                cells = [row[at] for row in sample]
                starts.update(
                    position
                    for position in range(1, len(cells))
                    if cells[position] and cells[position] != cells[position - 1]
                )
        return sorted(starts)


def _read_word_rows(
    table: _Table, config: DataConfig, findings: Findings, split: str
) -> Iterator[TaggedWords]:
    path, columns = table.path, table.columns
    blanks = BlankTokens(config, findings, split)
    blanks.learn(table.tags)
    names = open_tag_names(config, path)
    known: dict[str, str] = {}
    tokens: list[str] = []
    tags: list[str] = []
    first_line = 1
    document: str | None = None
    current = before = current_document = ""
    seen: set[tuple[str, str]] = set()

    def finish() -> Iterator[TaggedWords]:
        place = f"{path}:{first_line}"
        if tokens and (sentence := blanks.finish(tokens, tags, place, first_line, document)):
            yield sentence

    for row in table.rows:
        line, cells = row
        is_blank_row = not any(cells)
        new_document = ""
        if table.document is not None and not is_blank_row:
            cell = table.fit(row)[table.document]
            new_document = cell if cell != current_document else ""
            current_document = cell or current_document
        if table.sentence is None:
            is_new = is_blank_row or bool(new_document)
        elif is_blank_row:
            continue
        else:
            here = table.fit(row)[table.sentence]
            is_new = bool(new_document) or (bool(here) and (here != current or not before))
            if is_new:
                key = (cells[table.document] if table.document is not None else "", here)
                if key in seen:
                    findings.add("sentence_id_repeated", split, f"{path}:{line}", here)
                seen.add(key)
            before = here
            current = here or current
        if is_new:
            yield from finish()
            tokens, tags = [], []
        if is_blank_row:
            continue
        cells = table.fit(row)
        if not tokens:
            first_line = line
            if table.document is not None:
                document = cells[table.document] or (None if table.sentence is None else document)
        word = cells[columns.word]
        if is_blank(word):
            blanks.refuse(f"{path}:{line}", word)
        _check_quotes(word, columns.count, path, line)
        cell = cells[columns.tag]
        tag = known.get(cell)
        if tag is None:
            columns.check_row(cells, f"{path}:{line}")
            tag = known[cell] = read_tag(cell.strip(" "), names, f"{path}:{line}")
        tokens.append(word)
        tags.append(tag)
        if len(tokens) > MOST_WORDS:
            raise DataError(
                f"{path}:{first_line}: a sentence of more than {MOST_WORDS:,} words: add a column "
                "'sentence_id', or an empty row after each sentence"
            )
    yield from finish()


def _read_sentence_rows(
    table: _Table, config: DataConfig, findings: Findings, split: str
) -> Iterator[TaggedWords]:
    path, columns = table.path, table.columns
    blanks = BlankTokens(config, findings, split)
    names = open_tag_names(config, path)
    for row in table.rows:
        line, cells = row
        if not any(cells):
            continue
        cells = table.fit(row)
        place = f"{path}:{line}"
        tokens = read_list_text(cells[columns.word], place)
        items = read_list_text(cells[columns.tag], place)
        tags = [read_tag(item.strip(" "), names, place) for item in items]
        if not tokens and not tags:
            if config.blank_tokens != "drop":
                raise DataError(
                    f"{place}: a sentence without tokens: remove it, or choose blank_tokens=drop"
                )
            findings.add("row_without_words", split, place)
            continue
        if len(tokens) != len(tags):
            raise DataError(
                f"{place}: {len(tokens)} tokens but {len(tags)} tags: give one tag for each token"
            )
        document = cells[table.document] or None if table.document is not None else None
        if sentence := blanks.finish(tokens, tags, place, line, document):
            yield sentence


def _find_directive(line: str) -> str | None:
    """Return the separator that a first line ``sep=;`` names for spreadsheets; else None."""
    match = _DIRECTIVE.fullmatch(line)
    return match[1] if match else None


def _has_padding(line: str, separator: str) -> bool:
    """Return whether a blank follows each separator of a line, as in ``Word, Tag``."""
    cells = line.split(separator)
    return len(cells) > 1 and all(cell.startswith(" ") for cell in cells[1:])


def _read_rows(path: Path, separator: str, has_padding: bool) -> Iterator[Row]:
    """Yield the rows of a file, empty ones as such, each with its first line."""
    lines = (
        "\n" if number == 1 and _find_directive(line) else f"{line}\n"
        for number, line in read_lines(path)
    )
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=has_padding, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path}:{line}: a broken row ({error}): put cells with separators or quotes in "
                'quotes, and write a quote within them twice: ""'
            ) from error
        if cells is None:
            return
        yield line, cells
        line = reader.line_num + 1


def _find_separator(line: str, config: DataConfig) -> str:
    """Return the separator of the header; a comma if there is none."""
    for separator in SEPARATORS:
        cells = _cells(line, separator)
        if len(cells) > 1 and is_header(cells, config.token_column, config.tag_column):
            return separator
    return max(SEPARATORS, key=lambda separator: len(_cells(line, separator)))


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return line.split(separator)


def _header(cells: Sequence[str], rows: Sequence[Row], config: DataConfig) -> tuple[str, ...]:
    """Return the names of columns if the first row holds them, else nothing."""
    fitting = (row for _, row in rows if len(row) == len(cells) and any(row))
    is_named = is_header(cells, config.token_column, config.tag_column) or heads_columns(
        cells, fitting
    )
    return tuple(cell.strip() for cell in cells) if is_named else ()


def _given_tag(names: Sequence[str], config: DataConfig, count: int) -> int | None:
    wanted = config.tag_column
    if wanted and wanted in names:
        return list(names).index(wanted)
    return int(wanted) - 1 if wanted.isdecimal() and 0 < int(wanted) <= count else None


def _hold_sentences(cells: Sequence[str]) -> bool:
    """Return whether cells of the column of tags hold the tags of a sentence each."""
    if any(map(is_list_text, cells)):
        return True
    several = [tags for cell in cells if len(tags := cell.split()) > 1]
    # A type may hold a blank; then the parts of a cell are no tags.
    return holds_tags(Counter(tag for tags in several for tag in tags))


def _check_quotes(word: str, count: int, path: Path, line: int) -> None:
    """Raise DataError if a word holds whole rows: a quote that is a word was not quoted."""
    if "\n" in word and any(
        inner.count(separator) >= count - 1
        for inner in word.split("\n")
        for separator in SEPARATORS
    ):
        raise DataError(
            f"{path}:{line}: a word in quotes holds whole rows: write a word that is a quote as "
            '"""" (four quotes)'
        )


def _matches(head: Head) -> bool:
    if head.kind != "lines" or not head.lines:
        return False
    lines = head.lines[1:] if _find_directive(head.lines[0]) else head.lines
    line = lines[0] if lines else ""
    for separator in SEPARATORS:
        cells = _cells(line, separator)
        if len(cells) < 2 or not is_header(cells):
            continue
        # A header over tabs begins CoNLL files, too; these have no column of sentences.
        return separator != "\t" or _has_sentences(cells) or head.suffix == ".csv"
    return head.suffix == ".csv" and "," in line


def _has_sentences(names: Sequence[str]) -> bool:
    return find_role(names, "sentence") is not None


CSV = Format(
    name="csv",
    title="CSV",
    summary="one word per row with a column that numbers the sentences, or one sentence per row",
    example="Sentence #,Word,POS,Tag\nSentence: 1,Redis,NNP,B-SOFTWARE\n,on,IN,O\n",
    matches=_matches,
    read=read_csv,
    is_rows=False,
    suffixes=(".csv",),
)
