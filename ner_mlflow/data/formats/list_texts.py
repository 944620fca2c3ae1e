"""Read lists that CSV files and tables hold as text: ``['a', 'b']``, ``["a", "b"]`` or ``a b``."""

import ast
import json
import re
from contextlib import suppress

from ...errors import DataError

_ITEM = re.compile(
    r"""\s*(?P<item>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s,'"\[\]]+)\s*(?P<comma>,?)""", re.DOTALL
)
_OBJECT = re.compile(r"""\s*\{\s*["']""")
_BLANKS = re.compile(r"[ \t\r\n]+")
CUT = "..."
"""What numpy writes in place of items that it leaves out."""


def is_list_text(text: str) -> bool:
    """Return whether a text is a list in brackets."""
    text = text.strip()
    return text.startswith("[") and text.endswith("]")


def read_list_text(text: str, place: str) -> list[str]:
    """Return the items of a list in text, as Python, JSON or numpy write it, or between blanks.

    Items without quotes, such as numbers, are returned as they are written.

    Raises:
        DataError: it is in brackets but not such a list, or numpy left out items. A list of objects
            is named as such.
    """
    stripped = text.strip(" \t\r\n")
    if not is_list_text(stripped):
        return [item for item in _BLANKS.split(stripped) if item]
    inner, position = stripped[1:-1], 0
    items: list[str] = []
    if _OBJECT.match(inner):
        raise DataError(
            f"{place}: {text[:60]!r} is a list of objects, as annotation tools write it to CSV: "
            "export JSON or JSONL"
        )
    while position < len(inner) and not inner[position:].isspace():
        match = _ITEM.match(inner, position)
        if match is None or match["item"] == CUT:
            raise DataError(
                f"{place}: {text[:60]!r} is not a readable list of words: write ['a', 'b'] "
                "with all items, or the words separated by blanks"
            )
        items.append(_unquote(match["item"], place))
        position = match.end()
    return items


def _unquote(item: str, place: str) -> str:
    if item[0] not in "'\"":
        return item
    if "\\" not in item:
        return item[1:-1]
    if item[0] == '"':
        with suppress(ValueError):  # Python writes escapes that JSON does not know
            return str(json.loads(item, strict=False))
    try:
        value = ast.literal_eval(item.replace("\n", "\\n").replace("\r", "\\r"))
    except (ValueError, SyntaxError) as error:
        raise DataError(f"{place}: {item[:60]} is not a readable text: put it in quotes") from error
    return str(value)
