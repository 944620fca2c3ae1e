"""Load label maps, tables from source types to target types, and relabel tags by them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ..errors import ConfigError
from ..paths import find_path
from ..redaction import one_line
from ..tagging.iob2 import OUTSIDE, split_tag

LABEL_MAPS = Path(__file__).parent.parent / "label_maps"
KEEP = "keep"
"""Name of the label map that keeps the types of the source."""


@dataclass(frozen=True)
class LabelMap:
    """A table from source types to target types; a type mapped to ``O`` is outside.

    A ``mapping`` of None keeps every source type.
    """

    name: str
    mapping: Mapping[str, str] | None = field(default=None)

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
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    # ValueError: not UTF-8, or a date that does not exist.
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(
            f"label_map {path}: not YAML ({one_line(error)}): write 'source: target' lines"
        ) from error
    if not isinstance(mapping, dict) or not all(
        isinstance(text, str) and text for pair in mapping.items() for text in pair
    ):
        raise ConfigError(
            f"label_map {path}: must map source types to target types, "
            "one 'source: target' a line, O for outside"
        )
    if not set(mapping.values()) - {OUTSIDE}:
        raise ConfigError(
            f"label_map {path}: maps every type to O, so no entity is left: "
            "map at least one type to a target type"
        )
    return LabelMap(path.stem, mapping)
