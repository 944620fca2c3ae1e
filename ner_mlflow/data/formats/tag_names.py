"""Load the names of tags that are numbers."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from ...config.schema import DataConfig
from ...errors import DataError
from ...redaction import one_line
from .base import Rows
from .rows import find_class_names, open_beside

OpenFile = Callable[[str], str | None]
"""Returns the text of the file of this name, or None if there is no such file."""
ID_TABLES = ("id2label", "label2id")
"""Fields of a model's or a dataset's description that hold a table of names and numbers."""
NAME_FILES = ("label.json", "labels.json", "label2id.json", "id2label.json", "labels.txt")
"""Files beside a dataset that name its tags' numbers."""
MAX_VALUES = 50_000
"""Most values of a file, aliases written out."""
TAG_FIELDS = ("ner_tags", "tags", "labels", "ner", "ner_labels")
"""Fields that hold tags; earlier names are preferred."""


def load_tag_names(text: str, open_file: OpenFile, field: str = "") -> list[str]:
    """Return the names of tags by their numbers.

    Args:
        text: names separated by commas, or the name of a file: JSON or YAML with a list of names,
            a table of names and numbers in either direction (also as ``id2label`` or
            ``label2id``), a dataset's card with class labels, or a name a line.
        open_file: opens the file.
        field: the field of the tags, if it is known; a card may name several.

    Raises:
        DataError: there is no such file, or it names no numbers from 0 without gaps.
    """
    content = open_file(text)
    if content is None:
        names = [name.strip() for name in text.split(",")]
        if len(names) < 2:
            raise DataError(
                f"tag_names={text}: no such file: give the path of a file, or names separated "
                "by commas"
            )
        return _checked(names, f"tag_names={text}")
    try:
        return _checked(_find_names(_parse(content, text), field, text), text)
    except RecursionError as error:
        raise DataError(f"{text}: nested too deeply: give a list of names") from error


def open_tag_names(config: DataConfig, path: Path) -> list[str] | None:
    """Return the names of ``config.tag_names`` for a file of columns, or None if it is empty.

    Raises:
        DataError: as :func:`load_tag_names`.
    """
    if not config.tag_names:
        return None
    return load_tag_names(config.tag_names, partial(open_beside, path), config.tag_column)


def row_label_names(config: DataConfig, rows: Rows) -> list[str] | None:
    """Return the names of ``config.tag_names`` for spans of rows, or None if it is empty.

    Raises:
        DataError: as :func:`load_tag_names`.
    """
    return load_tag_names(config.tag_names, rows.open_file) if config.tag_names else None


def read_tag(cell: str, names: Sequence[str] | None, place: str) -> str:
    """Return the tag in a cell of a file of columns.

    Args:
        cell: the cell, without white space at its ends.
        names: the names of tags that are numbers; None: tags are taken as they are written.
        place: where the cell is, for messages.

    Raises:
        DataError: the cell is empty, or its number has no name.
    """
    if not cell:
        raise DataError(f"{place}: the word has no tag: write O, or the type that it has")
    return name_tag(cell, names, place) if names and cell.isdecimal() else cell


def name_tag(tag: int | str, names: Sequence[str], place: str) -> str:
    """Return the name of a tag's number.

    Raises:
        DataError: it has no name.
    """
    number = int(tag)
    if not 0 <= number < len(names):
        raise DataError(
            f"{place}: tag {tag} is outside the {len(names)} class names: name all as tag_names"
        )
    return names[number]


def _parse(content: str, place: str) -> Any:
    """Parse JSON, YAML, the front matter of a card, or a name a line; all scalars are texts."""
    begins = content.lstrip("\ufeff \t\r\n")
    try:
        if begins.startswith(("{", "[")):
            with suppress(ValueError):  # YAML may begin so, too
                return json.loads(begins, object_pairs_hook=partial(_object, place))
        if begins.startswith("---"):
            begins = begins[3:].partition("\n---")[0]
        return _value(yaml.compose(begins, Loader=yaml.BaseLoader), place, iter(range(MAX_VALUES)))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(
            f"{place}: neither JSON nor YAML ({one_line(error, limit=150)}): give a list of names, "
            "or a table of names and numbers"
        ) from error


def _object(place: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise DataError(f"{place}: the key {key!r} is given twice: remove one")
        table[key] = value
    return table


def _value(node: Any, place: str, numbers: Iterator[int]) -> Any:
    """Return the value of a YAML node with all scalars as texts, so that ``NO`` stays a name and
    ``010`` is ten.

    Each value takes one of ``numbers``: aliases of aliases would give values without end.
    """
    if next(numbers, None) is None:
        raise ValueError(f"more than {MAX_VALUES:,} values, aliases written out")
    if isinstance(node, yaml.MappingNode):
        pairs = [
            (str(_value(key, place, numbers)), _value(value, place, numbers))
            for key, value in node.value
        ]
        return _object(place, pairs)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, place, numbers) for item in node.value]
    return node.value if isinstance(node, yaml.ScalarNode) else None


def _find_names(value: Any, field: str, place: str) -> list[str]:
    if isinstance(value, str):  # a name a line
        value = value.split()
        if wrong := next((name for name in value if name.isdecimal() or "," in name), None):
            raise DataError(
                f"{place}: {wrong!r} is read as a name: write one name a line, or lines of "
                "'NUMBER: NAME'"
            )
    if value and isinstance(value, list) and all(isinstance(name, str) for name in value):
        return list(value)
    if isinstance(value, Mapping):
        if (names := _of_table(value, place)) is not None:
            return names
        found = dict(_candidates(value, place))
        for name in (field, *TAG_FIELDS):
            if name in found:
                return found[name]
        if len(set(map(tuple, found.values()))) == 1:
            return next(iter(found.values()))
        if found:
            raise DataError(
                f"{place}: names of several fields ({', '.join(found)}): give one as tag_column, "
                "or the names separated by commas as tag_names"
            )
    raise DataError(
        f"{place}: no names of numbers: give a list of names, a table of names and numbers, or "
        "id2label"
    )


def _candidates(value: Any, place: str) -> list[tuple[str, list[str]]]:
    """Return the name and the class names of each field or table within a description."""
    found: list[tuple[str, list[str]]] = []
    if isinstance(value, list):
        for item in value:
            found += _candidates(item, place)
    if not isinstance(value, Mapping):
        return found
    for key, inner in value.items():
        if key in ID_TABLES and isinstance(inner, Mapping):
            names = _of_table(inner, place)
            found += [(key, names)] if names is not None else []
        elif key in ("class_label", "feature", "sequence", "list") and isinstance(inner, Mapping):
            labels = inner.get("class_label", inner)
            names = find_class_names(inner)
            if names is None and isinstance(labels, Mapping):
                described = labels.get("names")
                names = (
                    _of_table(described, place)
                    if isinstance(described, Mapping)
                    else list(described)
                    if isinstance(described, list)
                    else None
                )
            if names is not None:
                found.append((str(value.get("name", key)), names))
            else:
                found += _candidates(inner, place)
        elif isinstance(inner, Mapping) and (names := find_class_names(inner)) is not None:
            found.append((str(key), names))
        else:
            found += _candidates(inner, place)
    return found


def _of_table(table: Mapping[str, Any], place: str) -> list[str] | None:
    """Return the names of a table of names and numbers; None: it is something else."""
    if not table:
        return None
    if all(_is_number(key) for key in table) and all(isinstance(v, str) for v in table.values()):
        pairs = [(int(key), name) for key, name in table.items()]
    elif all(_is_number(value) for value in table.values()):
        pairs = [(int(number), name) for name, number in table.items()]
    else:
        return None
    names = dict(pairs)
    if len(names) < len(pairs) or sorted(names) != list(range(len(names))):
        listed = ", ".join(str(number) for number, _ in sorted(pairs)[:20])
        raise DataError(
            f"{place}: its numbers are {listed}: number the names from 0, each number once"
        )
    return [names[number] for number in range(len(names))]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdigit()
    return isinstance(value, int) and not isinstance(value, bool)


def _checked(names: list[str], place: str) -> list[str]:
    if "" in names or len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1 or not name)
        raise DataError(
            f"{place}: the name {twice!r} is empty or given twice: name each number once"
        )
    return names
