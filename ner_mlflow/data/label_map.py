"""Load label maps, tables from source types to target types, and relabel tags by them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError
from ..paths import find_path
from ..strict_yaml import YamlFile, read_yaml
from ..tagging.iob2 import OUTSIDE, split_tag

LABEL_MAPS = Path(__file__).parent.parent / "label_maps"
KEEP = "keep"
"""Name of the label map that keeps the types of the source."""
PREFIXES = ("B-", "I-")
"""Beginnings of tags, which types do not have."""
_ADVICE = "write 'source: target' lines, O for outside"


@dataclass(frozen=True)
class LabelMap:
    """A table from source types to target types; a type mapped to ``O`` is outside.

    A ``mapping`` of None keeps every source type. ``places`` holds the file and line of its types.
    """

    name: str
    mapping: Mapping[str, str] | None = field(default=None)
    places: Mapping[str, str] = field(default_factory=dict, compare=False)

    def knows(self, tag: str) -> bool:
        """Return whether the table has the type of this source tag."""
        return self.mapping is None or tag == OUTSIDE or split_tag(tag)[1] in self.mapping

    def relabel(self, tag: str) -> str:
        """Return the target tag of a source tag, ``O`` for a type that the table lacks."""
        if self.mapping is None or tag == OUTSIDE:
            return tag
        prefix, type_ = split_tag(tag)
        target = self.mapping.get(type_, OUTSIDE)
        return OUTSIDE if target == OUTSIDE else f"{prefix}-{target}"

    def suggest(self, type_: str) -> str | None:
        """Return the table's type that differs from a source type only by case or a tag's prefix.

        Returns None if there is no such type.
        """
        return next((name for name in self.mapping or () if _plain(name) == _plain(type_)), None)

    def tags_among(self, types: Collection[str]) -> list[str]:
        """Return the entries that name a tag, such as ``B-OS``, of one of the corpus's types."""
        return [
            name
            for name in self.mapping or ()
            if name.startswith(PREFIXES) and name not in types and name[2:] in types
        ]

    @property
    def target_types(self) -> tuple[str, ...] | None:
        """Return the types that the table maps to, or None if it keeps those of the source."""
        if self.mapping is None:
            return None
        return tuple(sorted(set(self.mapping.values()) - {OUTSIDE}))


def load_label_map(name: str) -> LabelMap:
    """Load a label map by its name in ``label_maps/`` or by the path of a YAML file, or ``keep``.

    Raises:
        ConfigError: there is no such table or file, or it does not map types to types.
    """
    if name == KEEP:
        return LabelMap(KEEP)
    path = find_path(str(LABEL_MAPS / f"{name}.yaml")) or find_path(name)
    if path is None or not path.is_file():
        names = ", ".join(sorted([KEEP, *(table.stem for table in LABEL_MAPS.glob("*.yaml"))]))
        raise ConfigError(
            f"label_map {name!r} is neither a known table ({names}) nor a file: "
            "give a YAML file of 'source: target' lines"
        )
    file = read_yaml(path, "label_map", _ADVICE)
    mapping = file.value
    if not isinstance(mapping, dict):
        raise ConfigError(f"label_map {path}: must map source types to target types: {_ADVICE}")
    for source in mapping:
        if problem := _problem(file, source):
            raise file.error(f"{source}: {problem}", source)
    if not set(mapping.values()) - {OUTSIDE}:
        raise ConfigError(
            f"label_map {path}: maps every type to O, so no entity is left: "
            "map at least one type to a target type"
        )
    places = {source: f"{path}:{file.typed[source,].line}" for source in mapping}
    return LabelMap(path.stem, mapping, places)


def _problem(file: YamlFile, source: str) -> str:
    """Return what is wrong with the line of a source type, and the way out; empty: nothing."""
    target = file.value[source]
    if not source:
        return f"must map a type, not an empty text: {_ADVICE}"
    if source == OUTSIDE != target:
        return f"words that are {OUTSIDE} belong to no entity: remove the line"
    if target is None or target == "":
        return f"no target type is written: write one, or {OUTSIDE} for outside"
    if isinstance(target, (dict, list)):
        return f"must map to one type: {_ADVICE}"
    if not isinstance(target, str):
        letter = f", or write the letter {OUTSIDE} for outside" if target == 0 else ""
        return f"{file.not_text(source)}{letter}"
    return type_problem(target)


def type_problem(type_: str) -> str:
    """Return what is wrong with a type that a user's file gives, and the way out; empty: nothing.

    Each of these would become a type of its own, beside the one that was meant.
    """
    if type_.startswith(PREFIXES):
        alone = f", {type_[2:]}" if type_[2:] else ""
        return f"{type_} has the prefix of a tag: write the type alone{alone}"
    if type_ != OUTSIDE and type_.strip().upper() == OUTSIDE:
        return f"{type_!r} is no type: write the letter {OUTSIDE} for outside"
    if type_ != type_.strip():
        return f"{type_!r} has blanks at its ends: write {type_.strip()}"
    return ""


def _plain(type_: str) -> str:
    return (type_[2:] if type_.startswith(PREFIXES) else type_).lower()
