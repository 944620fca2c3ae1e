"""Choose the columns of words and tags in CoNLL and CSV files; errors show what columns hold."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...config.schema import DataConfig
from ...errors import DataError
from ...redaction import shorten
from ..schemes import PREFIXES

SAMPLE_ROWS = 20_000
"""Rows at the beginning of a file by which its columns are chosen."""
WORD_NAMES = ("token", "tokens", "word", "words", "form", "surface", "text")
TAG_NAMES = (
    "ner_tag",
    "ner_tags",
    "ner",
    "ne",
    "ne_tag",
    "ner_label",
    "ner_labels",
    "named_entity",
    "named_entities",
    "entity",
    "iob",
    "iob2",
    "bio",
    "gold",
    "tag",
    "tags",
    "label",
    "labels",
)
SENTENCE_NAMES = (
    "sentence_#",
    "sentence#",
    "sentence_id",
    "sentence_idx",
    "sentence_no",
    "sentence_num",
    "sentence_number",
    "sent_id",
    "sent",
    "sentence",
)
DOCUMENT_NAMES = ("document", "document_id", "doc", "doc_id", "docid", "article_id")
OTHER_NAMES = (
    "",
    "id",
    "index",
    "idx",
    "unnamed:_0",
    "number",
    "lemma",
    "pos",
    "pos_tag",
    "pos_tags",
    "upos",
    "xpos",
    "chunk",
    "chunk_tag",
    "chunk_tags",
    "feats",
    "head",
    "deprel",
    "deps",
    "misc",
    "shape",
)
"""Names of columns, in lower case with _ for blanks; earlier names are preferred."""
# Of CoNLL-2000 and CoNLL-2003.
CHUNK_TYPES = frozenset(
    ("NP", "VP", "PP", "ADVP", "SBAR", "ADJP", "PRT", "CONJP", "INTJ", "LST", "UCP")
)
"""Types of chunks, which are not entities."""
TAG_SHARE = 0.8
"""A column holds entity tags if this share of its values looks like one."""
ENOUGH_ROWS = 20
"""Files with fewer rows are not judged by how their words are distributed."""
ENOUGH_ROWS_FOR_VARIETY = 2_000
FEWEST_WORDS = 60
"""A column of so many rows with no more different values than this does not hold words, if another
column is far more varied. The number exceeds every set of part-of-speech tags."""
MORE_VARIED = 5
"""Another column is far more varied if it has at least this many times the different values."""
LONG_RUNS = 2
"""A column does not hold words if its runs of equal values have at least this mean length."""
SHOWN_VALUES = 3
SHOWN_CHARACTERS = 20
SHOWN_COLUMNS = 12
_TAG = re.compile(rf"O|[{PREFIXES}](-.+)?", re.DOTALL)
_NAMES: Mapping[str, Sequence[str]] = {
    "word": WORD_NAMES,
    "tag": TAG_NAMES,
    "sentence": SENTENCE_NAMES,
    "document": DOCUMENT_NAMES,
    "other": OTHER_NAMES,
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names}

Row = Sequence[str]


@dataclass(frozen=True)
class Columns:
    """The columns of a file.

    Attributes:
        word: position of the words, from 0.
        tag: position of the tags.
        count: how many columns there are.
        names: their names, if a header gives them.
    """

    word: int
    tag: int
    count: int
    names: tuple[str, ...] = ()

    def check_row(self, cells: Sequence[str], place: str) -> None:
        """Check that a row is no second header, as in files that were joined.

        Raises:
            DataError: it has the names of the columns of words and tags.
        """
        if self.names and all(cells[at].strip() == self.names[at] for at in (self.word, self.tag)):
            raise DataError(f"{place}: the header comes a second time: remove the line")

    def __str__(self) -> str:
        return f"word {self._show(self.word)}, tag {self._show(self.tag)} of {self.count}"

    def _show(self, position: int) -> str:
        return f"{position + 1} ({self.names[position]})" if self.names else str(position + 1)


def normalize(name: str) -> str:
    """Return a name of a column as the tables of this module write it."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def is_header(cells: Sequence[str], *chosen: str) -> bool:
    """Return whether cells are names of columns: of words and of tags, or those chosen.

    Args:
        cells: the first row.
        chosen: names that the settings give.
    """
    stripped = [cell.strip() for cell in cells]
    if any(name in stripped for name in chosen if name and not name.isdecimal()):
        return True
    roles = [_ROLES.get(normalize(cell)) for cell in cells]
    return "tag" in roles and ("word" in roles or "sentence" in roles)


def heads_columns(cells: Sequence[str], rows: Iterable[Sequence[str]]) -> bool:
    """Return whether a row is a header with a known name of words, though with none of tags.

    None of its cells is a tag or a number, and its other cells occur in no further row of their
    columns.

    Args:
        cells: the row.
        rows: the rows behind it.
    """
    if not any(_ROLES.get(normalize(cell)) == "word" for cell in cells):
        return False
    if any(_TAG.fullmatch(cell.strip()) or _is_number(cell.strip()) for cell in cells):
        return False
    others = [at for at, cell in enumerate(cells) if _ROLES.get(normalize(cell)) != "word"]
    rest = list(rows)
    return bool(rest and others) and all(row[at] != cells[at] for row in rest for at in others)


def find_role(names: Sequence[str], role: str) -> int | None:
    """Return the position of the column with the most preferred name of a role, or None."""
    normalized = [normalize(name) for name in names]
    for name in _NAMES[role]:
        if name in normalized:
            return normalized.index(name)
    return None


def holds_tags(values: Mapping[str, int]) -> bool:
    """Return whether a column holds entity tags of any scheme.

    Args:
        values: how often each value occurs.
    """
    types = {value.partition("-")[2] or value for value in values if value != "O"}
    if types and types <= CHUNK_TYPES:
        return False
    most = max(values.values(), default=0)
    if most and values.get("O", 0) == most:
        return True
    matching = sum(count for value, count in values.items() if _TAG.fullmatch(value))
    return matching >= TAG_SHARE * sum(values.values()) > 0


def modal_columns(lines: Sequence[str]) -> int:
    """Return the number of columns that most lines have, ignoring lines that begin with ``#``.

    Tabs separate columns if half of the lines hold one, else blanks. Returns 0 if there are no
    lines, or if too many of them have another number of columns.
    """
    rows = [line for line in lines if not line.startswith("#")] or lines
    rows = [line for line in rows if not line.startswith("-DOCSTART-")]
    separator = find_separator(rows)
    counts = Counter(len(split_cells(line, separator)) for line in rows)
    if not counts:
        return 0
    columns, count = counts.most_common(1)[0]
    return columns if count >= TAG_SHARE * len(rows) else 0


def holds_columns(lines: Sequence[str]) -> bool:
    """Return whether most lines hold several words, and end in entity tags."""
    several = [words for line in lines if line[0] != "#" and len(words := line.split()) > 1]
    return 2 * len(several) >= len(lines) and holds_tags(Counter(words[-1] for words in several))


def find_separator(rows: Sequence[str]) -> str:
    """Return a tab if half of the rows hold one, else a blank."""
    return "\t" if rows and 2 * sum("\t" in row for row in rows) >= len(rows) else " "


def split_cells(line: str, separator: str) -> list[str]:
    """Return the cells of a line; a run of blanks is one separator, blanks at the ends are none."""
    cells = line.split(separator)
    return [cell for cell in cells if cell] if separator == " " and "" in cells else cells


def position_of(
    wanted: str, names: Sequence[str], count: int, place: str, setting: str
) -> int | None:
    """Return the position, from 0, of the column that a setting gives, or None if it is empty.

    Raises:
        DataError: there is no such column.
    """
    if not wanted:
        return None
    stripped = [name.strip() for name in names]
    if wanted in stripped:
        return stripped.index(wanted)
    lowered = [name.lower() for name in stripped]
    if lowered.count(wanted.lower()) == 1:
        return lowered.index(wanted.lower())
    if wanted.isdecimal() and 1 <= int(wanted) <= count:
        return int(wanted) - 1
    known = f"a name among {', '.join(map(repr, stripped))}, or " if names else ""
    raise DataError(
        f"{place}: {setting}={wanted}: no such column: give {known}a number from 1 to {count}"
    )


def choose_columns(
    values: Sequence[Sequence[str]],
    starts: Sequence[int],
    names: Sequence[str],
    config: DataConfig,
    place: str,
) -> Columns:
    """Return the columns of words and tags.

    A column is the one that the settings give, else one with a known name in the header, else the
    first for words and the last for tags. What the settings do not give is checked.

    Args:
        values: the values of each column in the rows at the beginning of the file.
        starts: positions of the rows that begin a sentence, and the number of rows.
        names: the header; empty: there is none.
        config: ``token_column`` and ``tag_column``.
        place: the file, for messages.

    Raises:
        DataError: a column that was not given by the settings holds no words or no entity tags, or
            several hold entity tags; the message shows all columns.
    """
    count = len(values)
    if count < 2:
        raise DataError(
            f"{place}: only one column, but words and tags need one each: add the other, or "
            "give the file's format as source_format"
        )
    given_word = position_of(config.token_column, names, count, place, "token_column")
    given_tag = position_of(config.tag_column, names, count, place, "tag_column")
    named_word = None if given_word is not None else find_role(names, "word")
    named_tag = None if given_tag is not None else find_role(names, "tag")
    tag = next((at for at in (given_tag, named_tag) if at is not None), count - 1)
    word = next((at for at in (given_word, named_word) if at is not None), 0)
    columns = Columns(word, tag, count, tuple(name.strip() for name in names))
    if not values[0]:
        return columns
    sample = _Sample(values, starts)
    problems = []
    if given_word is None and (problem := sample.word_problem(word, tag)):
        problems.append(problem)
    if given_tag is None and not config.tag_names:
        others = () if named_tag is not None and not _same_role(names) else range(count)
        if problem := sample.tag_problem(tag, word, others):
            problems.append(problem)
    if word == tag:
        problems.append(f"column {word + 1} is chosen for both words and tags")
    if problems:
        raise DataError(
            f"{place}: {', and '.join(problems)}; the columns are {sample.show(columns.names)}: "
            f"give {sample.advice(given_word, given_tag)}"
        )
    return columns


def _same_role(names: Sequence[str]) -> bool:
    """Return whether several columns are named as if they held tags."""
    return sum(_ROLES.get(normalize(name)) == "tag" for name in names) > 1


class _Sample:
    """The values of each column of a sample."""

    def __init__(self, values: Sequence[Sequence[str]], starts: Sequence[int]) -> None:
        self._starts = starts
        self._columns = values
        self._counts = [Counter(column) for column in values]
        self._rows = len(values[0])

    def word_problem(self, word: int, tag: int) -> str:
        """Return why a column holds no words; an empty text if it may."""
        counts = self._counts[word]
        others = [at for at in range(len(self._columns)) if at not in (word, tag)]
        if all(map(_is_number, counts)):
            if others and self._rows > 4 and self._counts_up(word):
                return f"column {word + 1} holds running numbers, not words"
            if self._rows >= ENOUGH_ROWS or self._counts_sentences(word, others):
                return f"column {word + 1} holds numbers only, not words"
        if not others or self._rows < ENOUGH_ROWS:
            return ""
        if self._repeats(word):
            return f"column {word + 1} repeats one value over many rows, so it names sentences"
        best = max((len(self._counts[at]) for at in others if not self._is_tags(at)), default=0)
        if best <= len(counts):
            return ""
        if (
            self._rows >= ENOUGH_ROWS_FOR_VARIETY
            and len(counts) <= FEWEST_WORDS
            and best >= MORE_VARIED * len(counts)
        ):
            return (
                f"column {word + 1} holds only {len(counts)} different values in {self._rows:,} "
                "rows, too few for words"
            )
        return ""

    def tag_problem(self, tag: int, word: int, others: Iterable[int]) -> str:
        """Return why a column is not the one of the tags; an empty text if it may be."""
        if not self._is_tags(tag):
            return f"column {tag + 1} holds no entity tags"
        same = self._columns[tag]
        rivals = [
            at
            for at in others
            if at not in (tag, word) and self._is_rival(at, tag) and self._columns[at] != same
        ]
        if rivals:
            listed = ", ".join(str(at + 1) for at in sorted([*rivals, tag]))
            return f"columns {listed} hold entity tags"
        return ""

    def show(self, names: Sequence[str]) -> str:
        """Return the numbers, names and first values of all columns."""
        shown = [
            f"{at + 1}{f' {names[at]!r}' if names else ''} ({self._first_values(at)})"
            for at in range(len(self._columns))
        ]
        more = len(shown) - SHOWN_COLUMNS
        return ", ".join(shown[:SHOWN_COLUMNS]) + (f" and {more} more" if more > 0 else "")

    def advice(self, word: int | None, tag: int | None) -> str:
        """Return the settings to give."""
        tags = [at for at in range(len(self._columns)) if self._is_tags(at)]
        if tag is not None:
            tags = [tag]
        words = [at for at in range(len(self._columns)) if at not in tags]
        words = [at for at in words if not all(map(_is_number, self._counts[at]))] or words
        words = [at for at in words if not self._repeats(at)] or words
        if word is None and words:
            word = max(words, key=lambda at: (len(self._counts[at]), -at))
        varied = [at for at in tags if len(self._counts[at]) > 1] or tags
        choices = " or ".join(f"tag_column={at + 1}" for at in varied if at != word)
        if word is None or not choices:
            return "token_column and tag_column, or a file with words and entity tags"
        return f"token_column={word + 1} and {choices}"

    def _counts_sentences(self, at: int, others: Iterable[int]) -> bool:
        """Return whether a column of numbers counts sentences whose words are in another column."""
        numbers = list(map(int, self._columns[at]))
        steps = {after - before for before, after in pairwise(numbers)}
        return steps == {0, 1} and any(
            not self._is_tags(other) and not all(map(_is_number, self._counts[other]))
            for other in others
        )

    def _is_tags(self, at: int) -> bool:
        return holds_tags(self._counts[at])

    def _is_rival(self, at: int, tag: int) -> bool:
        """Return whether a column may hold the tags instead; one with O only may not."""
        is_plain = len(self._counts[at]) == 1
        return self._is_tags(at) and not (is_plain and len(self._counts[tag]) > 1)

    def _sentences(self, at: int) -> Iterator[Sequence[str]]:
        """Yield the values of a column in each sentence."""
        for start, end in pairwise(self._starts):
            if end > start:
                yield self._columns[at][start:end]

    def _counts_up(self, at: int) -> bool:
        """Return whether a column counts the words of each sentence, from 0 or 1."""
        return all(
            values[0] in ("0", "1")
            and all(int(value) == number for number, value in enumerate(values, int(values[0])))
            for values in self._sentences(at)
        )

    def _repeats(self, at: int) -> bool:
        """Return whether a column repeats its values in runs, as names of sentences do.

        A word seldom follows itself, whereas such a name stands in every row of its sentence.
        """
        column = self._columns[at]
        runs = 1 + sum(before != after for before, after in pairwise(column))
        return len(column) / runs >= LONG_RUNS

    def _first_values(self, at: int) -> str:
        first = list(dict.fromkeys(self._columns[at]))[:SHOWN_VALUES]
        if self._is_tags(at):  # an entity says more than the third O
            frequent = [value for value, _ in self._counts[at].most_common(SHOWN_VALUES)]
            first = list(dict.fromkeys([*first[:1], *frequent]))[:SHOWN_VALUES]
        return ", ".join(_show(value) for value in first)


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()


def _show(value: str) -> str:
    short = shorten(value, SHOWN_CHARACTERS)
    return short if short and short.isprintable() else repr(short)
