"""CoNLL-U and CoNLL-U Plus files, with entity tags in MISC or in a column of their own."""

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
from .columns import SAMPLE_ROWS, find_role, holds_tags, position_of
from .conll import COMMENT, GLOBAL_COLUMNS
from .document_lines import Documents, begins_document
from .tag_names import name_tag, open_tag_names

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
MISC_KEYS = ("NER", "NE", "NamedEntity", "Name", "Entity", "EntityType", "IOB", "BIO")
"""Keys of MISC that hold an entity tag, whatever their case."""
EMPTY = "_"
"""What stands in a column without a value."""
_ID = re.compile(r"\d+([-.]\d+)?")
_WORD_ID = re.compile(r"\d+")


def read_conllu(
    path: Path, config: DataConfig, findings: Findings, split: str
) -> Iterator[TaggedWords]:
    """Yield the sentences of a file.

    A word without a tag is O. Token ranges, such as ``1-2``, and empty nodes, such as ``1.1``, are
    left out and counted. ``tag_column`` names a column or a key of MISC.

    Raises:
        DataError: the file has no entity tags, or has them in several places; a row has another
            number of columns; a range or an empty node has a tag; the text is not UTF-8.
    """
    lines = read_lines(path)
    begin = list(islice(lines, SAMPLE_ROWS))
    layout = _Layout(path, begin, config)
    if layout.has_rows:
        findings.facts[split, "columns"] = layout.described
    documents = Documents(path, findings, split)
    blanks = BlankTokens(config, findings, split)
    names = open_tag_names(config, path)
    known: dict[str, str] = {}
    tokens: list[str] = []
    tags: list[str] = []
    first_line = 1
    is_first = True
    for number, line in chain(begin, lines, [(0, "")]):  # a blank line ends the last sentence
        is_comment = layout.is_comment(line)
        is_document = is_comment and begins_document(line)
        if is_comment and not is_document:
            findings.add("comment_skipped", split, f"{path}:{number}", line[:60])
            continue
        if is_document or not line or line.isspace():
            if tokens:
                is_first = False
                place = f"{path}:{first_line}"
                if sentence := blanks.finish(tokens, tags, place, first_line, documents.name):
                    yield sentence
                tokens, tags = [], []
            if is_document:
                documents.begin(line, number, is_first)
            continue
        cells = layout.split(line, number)
        cell = layout.tag_of(cells)
        if not layout.is_word(cells, number):
            if cell not in ("O", EMPTY, ""):
                raise DataError(
                    f"{path}:{number}: a token range or an empty node has the tag {cell!r}: give "
                    "it to the words"
                )
            findings.add("range_skipped", split, f"{path}:{number}", line[:60])
            continue
        word = cells[layout.word]
        if is_blank(word):
            blanks.refuse(f"{path}:{number}", word)
        tag = known.get(cell)
        if tag is None:
            tag = "O" if cell in (EMPTY, "") else cell
            if names and tag.isdecimal():
                tag = name_tag(tag, names, f"{path}:{number}")
            known[cell] = tag
            blanks.learn([tag])
        if not tokens:
            first_line = number
        tokens.append(word)
        tags.append(tag)


class _Layout:
    """Where the words and tags of a file stand.

    Attributes:
        word: position of the column of words.
        has_rows: whether the sample has rows.
        described: the columns of words and tags, as a text for people.
    """

    def __init__(self, path: Path, sample: Sequence[tuple[int, str]], config: DataConfig) -> None:
        self._path = path
        self._names: tuple[str, ...] = COLUMNS
        self._id: int | None = 0
        for _, line in sample:
            if match := GLOBAL_COLUMNS.fullmatch(line):
                self._names = tuple(match[1].split())
                self._id = self._names.index("ID") if "ID" in self._names else None
                break
        lines = [
            (number, line)
            for number, line in sample
            if line and not line.isspace() and not self.is_comment(line)
        ]
        if lines and len(extra := lines[0][1].split("\t")) > len(self._names) == len(COLUMNS):
            more = range(len(COLUMNS) + 1, len(extra) + 1)
            self._names = (*COLUMNS, *(f"column {number}" for number in more))
        rows = [self.split(line, number) for number, line in lines]
        self.has_rows = bool(rows)
        wanted = position_of(
            config.token_column, self._names, len(self._names), str(path), "token_column"
        )
        at = find_role(self._names, "word") if wanted is None else wanted
        if at is None:
            raise DataError(
                f"{path}: no column FORM among {', '.join(self._names)}: give the column of the "
                "words as token_column"
            )
        self.word = at
        self._misc = self._names.index("MISC") if "MISC" in self._names else None
        self._key = ""
        self._tag = len(self._names) - 1
        if rows:
            self._find_tags([row for row in rows if self._is_word(row)], config)
        tag = f"{self._key} of MISC" if self._key else self._names[self._tag]
        self.described = f"word {self._names[self.word]}, tag {tag}"

    def is_comment(self, line: str) -> bool:
        """Return whether a line is a comment; without a column ID, # may be a word."""
        return line.startswith("#") and (
            self._id is not None
            or line.count("\t") + 1 != len(self._names)
            or COMMENT.fullmatch(line) is not None
        )

    def split(self, line: str, number: int) -> list[str]:
        """Return the cells of a row.

        Raises:
            DataError: there are more or fewer cells than the file has columns.
        """
        cells = line.split("\t")
        if len(cells) != len(self._names):
            raise DataError(
                f"{self._path}:{number}: {len(cells)} column{'s' * (len(cells) != 1)} where the "
                f"file has {len(self._names)}: give {len(self._names)} columns, separated by tabs"
            )
        return cells

    def is_word(self, cells: Sequence[str], number: int) -> bool:
        """Return whether a row is a word, not a range or an empty node.

        Raises:
            DataError: its ID is not a number.
        """
        if self._id is not None and not _ID.fullmatch(cells[self._id].strip()):
            raise DataError(
                f"{self._path}:{number}: the ID {cells[self._id]!r} is not a number: number the "
                "words"
            )
        return self._is_word(cells)

    def tag_of(self, cells: Sequence[str]) -> str:
        """Return the tag of a row as it is written; an empty text or _ if it has none."""
        if not self._key:
            return cells[self._tag].strip()
        return _value(cells[self._misc or 0], self._key)

    def _is_word(self, cells: Sequence[str]) -> bool:
        return self._id is None or _WORD_ID.fullmatch(cells[self._id].strip()) is not None

    def _find_tags(self, rows: Sequence[Sequence[str]], config: DataConfig) -> None:
        keys: dict[str, Counter[str]] = {}
        for row in rows if self._misc is not None else ():
            for pair in row[self._misc or 0].split("|"):
                key, equals, value = pair.strip().partition("=")
                if equals:
                    keys.setdefault(key, Counter())[value] += 1
        wanted = config.tag_column
        if wanted in keys:
            self._key = wanted
            return
        if wanted:
            try:
                at = position_of(
                    wanted, self._names, len(self._names), str(self._path), "tag_column"
                )
            except DataError as error:
                listed = f" (keys of MISC: {', '.join(sorted(keys))})" if keys else ""
                raise DataError(f"{error}{listed}") from error
            self._tag = at or 0
            return
        named = find_role(self._names, "tag")
        if named is not None:
            self._tag = named
            return
        lowered = [key.lower() for key in MISC_KEYS]
        found = [
            key
            for key, values in keys.items()
            if key.lower() in lowered and (config.tag_names or _holds_entities(values))
        ]
        own = [
            at
            for at in range(len(self._names))
            if (at == self._misc or at >= len(COLUMNS) or self._names[at] not in COLUMNS)
            and at != self.word
            and _holds_entities(_without_empty(row[at] for row in rows))
        ]
        if len(found) + len(own) == 1:
            self._key = found[0] if found else ""
            self._tag = own[0] if own else self._tag
            return
        if found or own:
            listed = ", ".join([*found, *(self._names[at] for at in own)])
            raise DataError(
                f"{self._path}: {listed} hold entity tags: give one of them as tag_column"
            )
        held = f" (MISC holds {', '.join(sorted(keys)[:8])})" if keys else ""
        raise DataError(
            f"{self._path}: no entity tags, neither in MISC under {', '.join(MISC_KEYS[:4])}, ..., "
            f"nor in a column of their own{held}: give the key or the column as tag_column"
        )


def _holds_entities(values: Counter[str]) -> bool:
    """Return whether values are entity tags; words outside entities may have no value."""
    return bool(values) and holds_tags(values)


def _without_empty(cells: Iterator[str]) -> Counter[str]:
    counts = Counter(cells)
    del counts[EMPTY]
    return counts


def _value(misc: str, key: str) -> str:
    for pair in misc.split("|"):
        name, equals, value = pair.strip().partition("=")
        if equals and name == key:
            return value
    return EMPTY


def _matches(head: Head) -> bool:
    if head.kind != "lines" or not head.lines:
        return False
    if any(GLOBAL_COLUMNS.fullmatch(line) for line in head.lines if line[0] == "#"):
        return True
    rows = [line.split("\t") for line in head.lines if line[0] != "#"]
    fitting = [len(row) >= len(COLUMNS) and bool(_ID.fullmatch(row[0].strip())) for row in rows]
    return 2 * sum(fitting) >= len(rows) > 0


CONLLU = Format(
    name="conllu",
    title="CoNLL-U",
    summary="the ten columns of Universal Dependencies, or those that # global.columns names, with "
    "entity tags in MISC (NER=B-ORG) or in a column of their own",
    example="# text = Redis\n1\tRedis\t_\tPROPN\t_\t_\t0\troot\t_\tNER=B-SOFTWARE\n",
    matches=_matches,
    read=read_conllu,
    is_rows=False,
    suffixes=(".conllu", ".conllup"),
)
