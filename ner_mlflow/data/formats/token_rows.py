"""Rows of words and tags: JSONL, JSON arrays, Parquet, hub datasets."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from ...config.schema import DataConfig
from ...errors import DataError
from ..findings import Findings
from .base import (
    DOCUMENT_FIELDS,
    Format,
    Head,
    Rows,
    TaggedWords,
    find_field,
    source_of,
    string_field,
)
from .blank_tokens import BlankTokens
from .columns import holds_tags
from .list_texts import read_list_text
from .tag_names import NAME_FILES, TAG_FIELDS, load_tag_names, name_tag

TOKEN_FIELDS = ("tokens", "words")
SPAN_MARKS = ("spans", "entities", "ner", "label", "relations")
"""A row with one of these as a list of lists or objects, and without tags, has spans."""
SAMPLE_ROWS = 200
"""Rows at the beginning by which a field is known to hold entity tags."""
_DROP = "remove the row, or choose blank_tokens=drop"


def read_token_rows(
    rows: Rows, config: DataConfig, findings: Findings, split: str
) -> Iterator[TaggedWords]:
    """Yield the words and tags of each row.

    Both may also be texts: items separated by blanks, or a list that was written as text. Tags that
    are numbers get the names of ``config.tag_names``, or those that the source gives for the same
    field. The fact ``columns`` records the fields of the first row.

    Raises:
        DataError: a row is not an object with two lists of equal length; two fields hold entity
            tags; a number has no name.
    """
    token_fields = (config.token_column,) if config.token_column else TOKEN_FIELDS
    tag_fields = (config.tag_column,) if config.tag_column else TAG_FIELDS
    blanks = BlankTokens(config, findings, split)
    is_dropping = config.blank_tokens == "drop"
    names = _Names(rows, config)
    items = iter(rows.items)
    sample = list(islice(items, SAMPLE_ROWS))
    if not config.tag_column:
        _check_one_field([row for _, row in sample], names, source_of(rows.place))
    is_first = True
    for position, row in chain(sample, items):
        place = f"{rows.place}{position}"
        if not isinstance(row, dict):
            found = "null" if row is None else f"a {type(row).__name__}"
            raise DataError(
                f"{place}: {found}, not an object: give {token_fields[0]!r} and {tag_fields[0]!r}"
            )
        token_field = find_field(row, token_fields, place, "give its name as token_column")
        tag_field = find_field(row, tag_fields, place, "give its name as tag_column")
        tokens, tags = row[token_field], row[tag_field]
        if isinstance(tokens, str) and isinstance(tags, (str, list)):
            tokens = read_list_text(tokens, place)
        if isinstance(tags, str) and isinstance(row[token_field], (str, list)):
            tags = read_list_text(tags, place)
        if is_dropping and not tokens and not tags and isinstance(tokens, (list, type(None))):
            findings.add("row_without_words", split, place)
            continue
        _check_row(tokens, tags, place)
        if not _are_texts(tags):
            tags = [names.of(tag, tag_field, place) for tag in tags]
        elif config.tag_names:
            tags = [names.of(int(tag), tag_field, place) if _is_id(tag) else tag for tag in tags]
        document = string_field(row, DOCUMENT_FIELDS)
        if is_first:
            findings.facts[split, "columns"] = f"words {token_field!r}, tags {tag_field!r}"
            is_first = False
        if sentence := blanks.finish(tokens, tags, place, position, document):
            yield sentence


def _matches(head: Head) -> bool:
    if head.kind not in ("json", "parquet"):
        return False
    row = head.row
    if row is None:  # no rows: read_corpus reports an empty file
        return True
    if not isinstance(row, dict):
        return False
    tokens = next((row[name] for name in TOKEN_FIELDS if name in row), None)
    tags = next((row[name] for name in TAG_FIELDS if name in row), None)
    if isinstance(tokens, str):
        return isinstance(tags, (str, list))
    if isinstance(tokens, list):
        is_plain = not any(isinstance(token, (dict, list)) for token in tokens)
        return is_plain and (_is_plain_list(tags) or not any(map(row.__contains__, SPAN_MARKS)))
    # Other names: two lists of equal length, of which the first holds texts.
    lists = [value for value in row.values() if _is_plain_list(value) and value]
    return (
        "text" not in row
        and len(lists) > 1
        and any(_are_texts(value) for value in lists)
        and len({len(value) for value in lists}) == 1
    )


TOKEN_ROWS = Format(
    name="token_rows",
    title="token rows",
    summary="JSON lines, a JSON array, Parquet or a hub dataset, with lists of words and tags",
    example='{"tokens": ["Redis", "on", "Ubuntu"], "ner_tags": ["B-SOFTWARE", "O", "B-OS"]}',
    matches=_matches,
    read=read_token_rows,
    is_rows=True,
    suffixes=(".jsonl", ".json", ".parquet"),
)


class _Names:
    """The names of numbers by field, loaded when the first number is met."""

    def __init__(self, rows: Rows, config: DataConfig) -> None:
        self._rows = rows
        self._setting = config.tag_names
        self._names: dict[str, Sequence[str] | None] = {}

    def of_field(self, field: str) -> Sequence[str] | None:
        """Return the names of a field's numbers, or None."""
        if field not in self._names:
            self._names[field] = (
                load_tag_names(self._setting, self._rows.open_file, field)
                if self._setting
                else self._rows.class_names(field)
            )
        return self._names[field]

    def likely(self, field: str) -> Sequence[str]:
        """Return the likely names of a field's numbers, while the field is not chosen yet.

        The names in the setting do not apply to a field that has its own.
        """
        try:
            own = self._rows.class_names(field) or ()
        except DataError:  # reported if this field is read
            own = ()
        return own if not self._setting else () if own else self.of_field(field) or ()

    def of(self, tag: Any, field: str, place: str) -> str:
        """Return the name of a tag, which may be one already."""
        if isinstance(tag, str):
            return tag
        if not isinstance(tag, int) or isinstance(tag, bool):
            raise DataError(
                f"{place}: tag {tag!r} is neither text nor a class number: give it as text"
            )
        names = self.of_field(field)
        if names is None:
            beside = next((name for name in NAME_FILES if self._rows.open_file(name)), None)
            way_out = (
                f"give tag_names={beside}, the file beside it"
                if beside
                else "give their names as tag_names, separated by commas or in a file, or give "
                "tags as text"
            )
            raise DataError(
                f"{place}: tag {tag} is a number without a name in {field!r}: {way_out}"
            )
        return name_tag(tag, names, place)


def _check_one_field(rows: Sequence[Any], names: _Names, place: str) -> None:
    """Raise DataError if several fields hold entity tags, or if the first holds none and another
    does."""
    holders: list[str] = []
    present: list[str] = []
    values: list[list[Any]] = []
    for field in TAG_FIELDS:
        lists = [row[field] for row in rows if isinstance(row, dict) and field in row]
        lists = [value for value in lists if isinstance(value, list)]
        counts = _count_tags(lists, names, field)
        if not counts:
            continue
        present.append(field)
        if holds_tags(counts) and len(counts) > 1 and lists not in values:
            holders.append(field)
            values.append(lists)
    if len(holders) > 1:
        raise DataError(
            f"{place}: the fields {' and '.join(map(repr, holders))} hold entity tags: "
            f"give one of them as tag_column={holders[0]}"
        )
    if holders and present[0] != holders[0]:
        raise DataError(
            f"{place}: the field {present[0]!r} holds no entity tags, {holders[0]!r} does: "
            f"give one of them as tag_column={holders[0]}"
        )


def _count_tags(lists: Sequence[list[Any]], names: _Names, field: str) -> Counter[str]:
    """Count the tags of a field; empty if they are numbers without names."""
    flat = [tag for tags in lists for tag in tags]
    if _are_texts(flat):
        return Counter(flat)
    if not all(isinstance(tag, int) for tag in flat):
        return Counter()
    of_field = names.likely(field)
    return Counter(of_field[tag] for tag in flat if 0 <= tag < len(of_field))


def _check_row(tokens: Any, tags: Any, place: str) -> None:
    if tokens is None and tags is None:
        raise DataError(f"{place}: tokens and tags are null: {_DROP}")
    if not isinstance(tokens, list) or not isinstance(tags, list):
        raise DataError(f"{place}: tokens and tags must be lists: give a word and a tag for each")
    if len(tokens) != len(tags):
        raise DataError(
            f"{place}: {len(tokens)} tokens but {len(tags)} tags: give one tag for each token"
        )
    if not tokens:
        raise DataError(f"{place}: a sentence without tokens: {_DROP}")
    if not _are_texts(tokens):
        token = next(token for token in tokens if not isinstance(token, str))
        raise DataError(f"{place}: token {token!r} is not text: give every token as a string")


def _are_texts(values: Sequence[Any]) -> bool:
    return all(type(value) is str for value in values)


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value)


def _is_id(tag: str) -> bool:
    return tag.isascii() and tag.isdigit()
