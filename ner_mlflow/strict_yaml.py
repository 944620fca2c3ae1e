"""Read YAML strictly: refuse what YAML would read as something other than what was typed.

YAML 1.1 reads ``NO`` as false, ``013`` as eleven, ``1:30`` as ninety and ``2024-01-01`` as a date,
and keeps the last of two equal keys. Here all of these are errors that name the line.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .errors import ConfigError
from .redaction import one_line

MAX_DEPTH = 50
"""Deepest nesting of lists and mappings."""
MAX_BYTES = 4_194_304
MAX_NODES = 50_000
"""Most values of a file, aliases written out."""

Keys = tuple[str | int, ...]
"""Keys of mappings and positions in lists that lead to a value."""

_TAG = "tag:yaml.org,2002:"
_TEXT = f"{_TAG}str"
_NUMBERS = (f"{_TAG}int", f"{_TAG}float")
_QUOTES = "put it in quotes"


class _Trap(NamedTuple):
    """A way of typing a value that YAML 1.1 reads as something else, and what to say about it."""

    tags: tuple[str, ...]
    pattern: re.Pattern[str]
    read_as: str


_TRAPS = (
    _Trap(
        (f"{_TAG}bool",),
        re.compile(r"yes|no|on|off", re.IGNORECASE),
        f"{{value}}: write {{value}}, or {_QUOTES}",
    ),
    _Trap(
        (f"{_TAG}int",),
        re.compile(r"[-+]?0[0-9_]+"),
        f"the octal number {{value}}: write {{decimal}}, or {_QUOTES}",
    ),
    _Trap(_NUMBERS, re.compile(r".*:.*"), f"{{value}}, in base 60: {_QUOTES}"),
    _Trap((f"{_TAG}timestamp",), re.compile(r".*", re.DOTALL), f"a date: {_QUOTES}"),
)
_VALUE_TAGS = (_TEXT, *_NUMBERS, f"{_TAG}bool", f"{_TAG}null", f"{_TAG}timestamp")


class Typed(NamedTuple):
    """A value as it stands in its file: its line, from 1, and its text if it is a single value."""

    line: int
    text: str


@dataclass(frozen=True)
class YamlFile:
    """The contents of a YAML file.

    Attributes:
        name: what the file is, and its path, as in ``label_map mine.yaml``.
        value: dicts with texts as keys, lists, texts, numbers, booleans and None.
        typed: how each value was typed, by the keys that lead to it. The line is that of its key.
    """

    name: str
    value: Any
    typed: Mapping[Keys, Typed]

    def error(self, message: str, *keys: str | int) -> ConfigError:
        """Return an error about the value at ``keys``."""
        return ConfigError(f"{self.name}:{self.typed[keys].line}: {message}")

    def not_text(self, *keys: str | int) -> str:
        """Return what is wrong with the value at ``keys``, which should be a text but is not."""
        text = self.typed[keys].text
        value: Any = self.value
        for key in keys:
            value = value[key]
        if isinstance(value, (dict, list)):
            return "must be a text"
        if value is None and not text:
            return 'nothing is written: write "" for an empty text'
        return f"{text} is read as {_read_as(value)}: {_QUOTES}"


def read_yaml(path: Path, kind: str, advice: str) -> YamlFile:
    """Read a YAML file in UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        kind: what the file is, for messages: ``preset``.
        advice: how such a file is written, for messages.

    Raises:
        ConfigError: the file cannot be read, or is not YAML; a key is given twice; a key or a value
            is typed in a way that YAML reads as something else; or it is nested too deeply or too
            large.
    """
    name = f"{kind} {path}"
    content = _read(path, name)
    try:
        text = content.removeprefix(BOM_UTF8).decode("utf-8")
        _check_size(text, name)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # Without a byte order mark, UTF-16 is UTF-8 with a NUL beside each letter.
        is_encoded = isinstance(error, UnicodeDecodeError) or b"\0" in content
        way_out = "save it as UTF-8" if is_encoded else advice
        raise ConfigError(f"{name}: not YAML ({_reason(error)}): {way_out}") from error
    typed: dict[Keys, Typed] = {}
    value = None if root is None else _Reader(name, typed).value(root, ())
    return YamlFile(name, value, typed)


def _read(path: Path, name: str) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{name}: larger than {MAX_BYTES:,} bytes: make the file smaller")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{name}: cannot be read ({error.strerror or one_line(error)}): make it readable"
        ) from error


def _check_size(text: str, name: str) -> None:
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        line = event.start_mark.line + 1 if event.start_mark else 1
        _check_limits(depth, nodes, f"{name}:{line}")


def _check_limits(depth: int, nodes: int, place: str) -> None:
    if depth > MAX_DEPTH:
        raise ConfigError(f"{place}: nested more than {MAX_DEPTH} deep: write it flatter")
    if nodes > MAX_NODES:
        raise ConfigError(
            f"{place}: more than {MAX_NODES:,} values, aliases written out: make the file smaller"
        )


class _Reader:
    """Turns nodes into values, and collects how they were typed."""

    def __init__(self, name: str, typed: dict[Keys, Typed]) -> None:
        self._name = name
        self._typed = typed
        self._scalars = yaml.SafeLoader("")
        self._nodes = 0

    def value(self, node: yaml.Node, keys: Keys, line: int = 0) -> Any:
        self._nodes += 1
        _check_limits(len(keys), self._nodes, self._place(node))
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        self._typed[keys] = Typed(line or node.start_mark.line + 1, text)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.value(item, (*keys, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _VALUE_TAGS:
            return self._scalar(node)
        kind = node.tag.removeprefix(_TAG)
        raise ConfigError(f"{self._place(node)}: {text or kind} is read as a {kind!r}: {_QUOTES}")

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        lines: dict[str, int] = {}
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = self._key(key_node), key_node.start_mark.line + 1
            if key in values:
                raise ConfigError(
                    f"{self._place(key_node)}: key {key!r} is given a second time, first in line "
                    f"{lines[key]}: remove one"
                )
            lines[key] = line
            values[key] = self.value(value_node, (*keys, key), line)
        return values

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise ConfigError(f"{self._place(node)}: a key is a list or a mapping: write a text")
        if node.tag == f"{_TAG}merge":
            raise ConfigError(
                f"{self._place(node)}: key {node.value} merges another mapping: "
                "write the lines of that mapping here"
            )
        if node.tag != _TEXT:
            value = self._construct(node) if node.tag in _VALUE_TAGS else node.value
            raise ConfigError(
                f"{self._place(node)}: key {node.value or 'nothing'} is read as "
                f"{_read_as(value)}: {_QUOTES}"
            )
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        value = self._construct(node)
        for trap in _TRAPS:
            if node.style is None and node.tag in trap.tags and trap.pattern.fullmatch(node.value):
                sign = "-" if node.value.startswith("-") else ""
                decimal = sign + (node.value.lstrip("+-0_").replace("_", "") or "0")
                read_as = trap.read_as.format(value=str(value).lower(), decimal=decimal)
                raise ConfigError(f"{self._place(node)}: {node.value} is read as {read_as}")
        return value

    def _construct(self, node: yaml.ScalarNode) -> Any:
        if node.tag == f"{_TAG}timestamp":
            return _Date()  # whether or not such a day exists
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:  # !!int x, or a number with too many digits
            raise ConfigError(
                f"{self._place(node)}: {node.value[:40]!r} is not readable ({_reason(error)}): "
                f"{_QUOTES}"
            ) from error

    def _place(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"


class _Date:
    """Stands for a date, which no file of ours holds."""


def _read_as(value: Any) -> str:
    if isinstance(value, _Date):
        return "a date"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"the number {value}" if isinstance(value, (int, float)) else f"the key {value!r}"


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or problem is None:
        return one_line(error, limit=200)
    hint = ""
    if r"\t" in problem:
        hint = ", write blanks instead of the tab"
    elif "escape character" in problem:
        hint = r", write \\ for \ between double quotes, or take single ones"
    return f"line {mark.line + 1}: {one_line(problem, limit=200)}{hint}"
