"""List the settings of the configuration and read their values from text."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from ..errors import ConfigError
from ..redaction import shorten
from .schema import Config, Section, Unit

_TYPE_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false"}
_NEAREST = 3
SHOWN = 200
"""Characters of a value that a message quotes."""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        key: the dotted key, such as ``train.epochs``.
        type: ``text``, ``integer``, ``number`` or ``true or false``; of a list, that of its items.
        is_list: the value is a list.
        choices: the allowed values, or allowed items of a list; empty: any value of the type.
        default: the value of the base configuration, as in YAML.
        unit: the unit, or empty.
        description: the meaning.
    """

    key: str
    type: str
    is_list: bool
    choices: tuple[str, ...]
    default: Any
    unit: str
    description: str

    @property
    def section(self) -> str:
        """The first part of the key."""
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]

    def default_text(self) -> str:
        """Return the default as one types it: ``adamw_torch``, ``0.0002``, ``[13]``, ``""``."""
        if self.default == "":
            return '""'
        if isinstance(self.default, str):
            return self.default
        text = yaml.safe_dump(self.default, default_flow_style=True, width=10_000)
        return text.removesuffix("...\n").strip()

    def to_text(self, value: Any) -> str:
        """Return a value as one types it, so that :meth:`parse` returns it again.

        Numbers and truth values come back as text, which `Config` reads.
        """
        if self.is_list:
            items = [str(item) for item in value]
            joined = ",".join(items)
            if items and self._reads(joined, items):
                return joined
            return _quoted(items)
        text = value if isinstance(value, str) else str(value).lower()
        return text if text and self._reads(text, text) else _quoted(text)

    def _reads(self, text: str, value: Any) -> bool:
        try:
            return bool(self.parse(text) == value)
        except ConfigError:
            return False

    def parse(self, text: str) -> Any:
        """Return the value that a text of the command line means; `Config` checks it.

        A list is a YAML list, or its items with commas between; an empty text is the empty list.
        Any other value is the text itself, without the quotes of a quoted YAML string. So text that
        looks like a number, holds blanks or is empty needs no quotes.

        Raises:
            ConfigError: the text begins like a YAML list and is none.
        """
        if self.is_list:
            return self._parse_list(text)
        if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
            try:
                value = yaml.load(text, Loader=yaml.BaseLoader)
            except yaml.YAMLError:
                return text
            return value if isinstance(value, str) else text
        return text

    def _parse_list(self, text: str) -> list[Any]:
        try:
            # The base loader keeps every item as it was typed; Config turns it into a number.
            node = yaml.compose(text, Loader=yaml.BaseLoader)
        except (yaml.YAMLError, RecursionError) as error:
            if text.lstrip().startswith("["):
                raise ConfigError(
                    f"{self.key}: {shorten(text, SHOWN)!r} is not a YAML list: write [a, b], or a,b"
                ) from error
            node = None
        if isinstance(node, yaml.SequenceNode):
            # No item is a list: aliases of lists would multiply.
            if not all(isinstance(item, yaml.ScalarNode) for item in node.value):
                raise ConfigError(
                    f"{self.key}: {shorten(text, SHOWN)!r} holds more than plain values: "
                    "write [a, b], or a,b"
                )
            return [item.value for item in node.value]
        return [item.strip() for item in text.split(",") if item.strip()]


def parse_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Return the values by dotted key of texts such as ``train.epochs=3``.

    Raises:
        ConfigError: a text has no ``=``, its key is unknown, or its list is not readable.
    """
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"{text!r} is not KEY=VALUE: write e.g. train.weight_decay=0.1")
        if key not in SETTINGS:
            raise ConfigError(unknown_setting(key))
        values[key] = SETTINGS[key].parse(value)
    return values


def unknown_setting(name: str) -> str:
    """Return the text of an error about an unknown key: the key, and the settings closest to it."""
    section, _, leaf = name.rpartition(".")
    matches = [key for key, setting in SETTINGS.items() if setting.name == leaf]
    if not matches and section in SECTIONS:
        names = difflib.get_close_matches(leaf, SECTIONS[section].model_fields, _NEAREST)
        matches = [f"{section}.{match}" for match in names]
    elif not matches:
        matches = difflib.get_close_matches(name, [*SETTINGS, *SECTIONS], _NEAREST)
    if matches:
        return f"no setting {name!r}: did you mean {' or '.join(matches)}?"
    options = [key for key in SETTINGS if key.startswith(f"{section}.")] or list(SECTIONS)
    return f"no setting {name!r}: give one of {', '.join(options)}"


def _sections() -> dict[str, type[Section]]:
    return {
        name: field.annotation
        for name, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }


def _settings() -> Iterator[Setting]:
    defaults = Config().model_dump(mode="json")
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            yield _setting(f"{section}.{name}", field, defaults[section][name])


def _setting(key: str, field: FieldInfo, default: Any) -> Setting:
    item = field.annotation
    is_list = get_origin(item) is tuple
    if is_list:
        item = get_args(item)[0]
    while hasattr(item, "__metadata__"):  # Annotated
        item = get_args(item)[0]
    choices = tuple(get_args(item)) if get_origin(item) is Literal else ()
    units = [marker.name for marker in field.metadata if isinstance(marker, Unit)]
    return Setting(
        key,
        "text" if choices else _TYPE_NAMES[item],  # type: ignore[index]  # a plain type by now
        is_list,
        choices,
        default,
        units[0] if units else "",
        field.description or "",
    )


def _quoted(value: str | list[str]) -> str:
    """Return a text, or a list of texts, in YAML on one line, with quotes."""
    options: dict[str, Any] = {"default_style": '"', "default_flow_style": True}
    return str(yaml.safe_dump(value, allow_unicode=True, width=float("inf"), **options)).strip()


SECTIONS = MappingProxyType(_sections())
"""Section -> its model."""
SETTINGS = MappingProxyType({setting.key: setting for setting in _settings()})
"""Dotted key -> setting, in the order of the configuration."""
