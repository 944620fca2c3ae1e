"""Rows of words and tags: JSONL, JSON arrays, Parquet, hub datasets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...config.schema import DataConfig
from ...errors import DataError
from ..findings import Findings
from .base import Format, Head, Rows, TaggedWords, string_field

TOKEN_FIELDS = ("tokens", "words")
TAG_FIELDS = ("ner_tags", "tags", "labels")
DOCUMENT_FIELDS = ("document", "document_id", "doc_id")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read_token_rows(
    rows: Rows,
    config: DataConfig,
    findings: Findings,  # noqa: ARG001  # blank tokens are dropped into it
    split: str,  # noqa: ARG001
) -> Iterator[TaggedWords]:
    """Yield the words and tags of each row.

    Raises:
        DataError: a row is not an object with two lists of equal length.
    """
    token_fields = (config.token_column,) if config.token_column else TOKEN_FIELDS
    tag_fields = (config.tag_column,) if config.tag_column else TAG_FIELDS
    for position, row in rows.items:
        place = f"{rows.place}{position}"
        if not isinstance(row, dict):
            raise DataError(
                f"{place}: a {type(row).__name__}, "
                f"not an object with {token_fields[0]!r} and {tag_fields[0]!r}"
            )
        tokens = row[_field(row, token_fields, place)]
        tag_field = _field(row, tag_fields, place)
        yield _words(row, tokens, row[tag_field], rows.class_names(tag_field), position, place)


def _matches(head: Head) -> bool:
    row = head.row
    return isinstance(row, dict) and any(isinstance(row.get(name), list) for name in TOKEN_FIELDS)


TOKEN_ROWS = Format(
    name="token_rows",
    title="token rows",
    summary="JSON lines, a JSON array, Parquet or a hub dataset with lists of words and tags",
    example='{"tokens": ["Redis", "on", "Ubuntu"], "ner_tags": ["B-SOFTWARE", "O", "B-OS"]}',
    matches=_matches,
    read=read_token_rows,
    is_rows=True,
    suffixes=(".jsonl", ".json", ".parquet"),
)


def _field(row: Mapping[str, Any], names: Sequence[str], place: str) -> str:
    for name in names:
        if name in row:
            return name
    raise DataError(
        f"{place}: no field {' or '.join(map(repr, names))} "
        f"among {', '.join(map(repr, row)) or 'none'}: rename the field"
    )


def _words(
    row: Mapping[str, Any],
    tokens: Any,
    tags: Any,
    names: Sequence[str] | None,
    position: int,
    place: str,
) -> TaggedWords:
    if not isinstance(tokens, list) or not isinstance(tags, list):
        raise DataError(f"{place}: tokens and tags must be lists")
    if len(tokens) != len(tags):
        raise DataError(
            f"{place}: {len(tokens)} tokens but {len(tags)} tags: give one tag for each token"
        )
    if not tokens:
        raise DataError(f"{place}: a sentence without tokens: remove it")
    for token in tokens:
        if not isinstance(token, str) or not token.strip():
            raise DataError(
                f"{place}: token {token!r} is not text: every token must be a non-empty string"
            )
    document = string_field(row, DOCUMENT_FIELDS)
    words = TaggedWords(tokens, [_tag_name(tag, names, place) for tag in tags], position, document)
    for text in (*tokens, *words.tags, document or ""):
        if _LONE_SURROGATE.search(str(text)):
            raise DataError(
                f"{place}: {text!r} is not text: it holds half of a surrogate pair, "
                "write the whole character"
            )
    return words


def _tag_name(tag: Any, names: Sequence[str] | None, place: str) -> str:
    if isinstance(tag, int) and not isinstance(tag, bool):
        if names is None:
            raise DataError(
                f"{place}: tag {tag} is a number and nothing names it: give tags as strings, "
                "Parquet with ClassLabel names, or tag_names"
            )
        if not 0 <= tag < len(names):
            raise DataError(f"{place}: tag {tag} is outside the {len(names)} class names")
        return names[tag]
    if not isinstance(tag, str):
        raise DataError(f"{place}: tag {tag!r} is neither a string nor a class number")
    return tag
