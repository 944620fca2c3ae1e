"""Label schemas as tables: which source type becomes which target type, and which ids a model gives its tags."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml

from .bio import OUTSIDE, split_tag
from .errors import ConfigError
from .paths import find_path

TABLES = Path(__file__).parent / "label_tables"
KEEP = "keep"
"""The name of the table that keeps a corpus's own types."""


@dataclass(frozen=True)
class LabelSchema:
    """The entity types of a prepared dataset and the model's labels made of them.

    ``labels[i]`` is the tag with id ``i``: ``O`` first, then ``B-`` and ``I-`` of each type in alphabetical order.
    """

    types: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", tuple(sorted(set(self.types))))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Tags by id."""
        return (OUTSIDE, *(f"{prefix}-{type_}" for type_ in self.types for prefix in "BI"))

    @cached_property
    def ids(self) -> dict[str, int]:
        """Ids by tag."""
        return {label: id_ for id_, label in enumerate(self.labels)}


@dataclass(frozen=True)
class LabelTable:
    """A literal table from source types to target types; a type mapped to ``O`` is outside.

    ``mapping`` of None keeps every source type as it is.
    """

    name: str
    mapping: Mapping[str, str] | None = field(default=None)

    def knows(self, tag: str) -> bool:
        """Whether the table says what becomes of this source tag."""
        return self.mapping is None or tag == OUTSIDE or split_tag(tag)[1] in self.mapping

    def relabel(self, tag: str) -> str:
        """The target tag of a source tag, its ``B-`` or ``I-`` kept; ``O`` for a type the table does not know."""
        if self.mapping is None or tag == OUTSIDE:
            return tag
        prefix, type_ = split_tag(tag)
        target = self.mapping.get(type_, OUTSIDE)
        return OUTSIDE if target == OUTSIDE else f"{prefix}-{target}"

    @property
    def target_types(self) -> tuple[str, ...] | None:
        """The types the table can give, or None when it keeps the source's own."""
        if self.mapping is None:
            return None
        return tuple(sorted(set(self.mapping.values()) - {OUTSIDE}))


def load_label_table(name: str) -> LabelTable:
    """Load a table by its name in ``label_tables/``, by the path of a YAML file, or ``keep``.

    Raises:
        ConfigError: no such table or file, or the file is not a mapping of types to types.
    """
    if name == KEEP:
        return LabelTable(KEEP)
    path = find_path(str(TABLES / f"{name}.yaml")) or find_path(name)
    if path is None or not path.is_file():
        known = ", ".join(sorted([KEEP, *(table.stem for table in TABLES.glob("*.yaml"))]))
        raise ConfigError(f"label_table {name!r} is neither a known table ({known}) nor a file: give a YAML file of 'source: target' lines")
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that does not exist
        raise ConfigError(f"label_table {path}: not YAML ({' '.join(str(error).split())}): write 'source: target' lines") from error
    if not isinstance(mapping, dict) or not all(isinstance(text, str) and text for pair in mapping.items() for text in pair):
        raise ConfigError(f"label_table {path}: must map source types to target types, one 'source: target' a line, O for outside")
    if not set(mapping.values()) - {OUTSIDE}:
        raise ConfigError(f"label_table {path}: maps every type to O, so no entity is left: map at least one type to a target type")
    return LabelTable(path.stem, mapping)
