"""Label maps as tables: which source type becomes which target type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ..errors import ConfigError
from ..paths import find_path
from ..tagging.iob2 import OUTSIDE, split_tag

LABEL_MAPS = Path(__file__).parent.parent / "label_maps"
KEEP = "keep"
"""The name of the table that keeps a corpus's own types."""


@dataclass(frozen=True)
class LabelMap:
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


def load_label_map(name: str) -> LabelMap:
    """Load a table by its name in ``label_maps/``, by the path of a YAML file, or ``keep``.

    Raises:
        ConfigError: no such table or file, or the file is not a mapping of types to types.
    """
    if name == KEEP:
        return LabelMap(KEEP)
    path = find_path(str(LABEL_MAPS / f"{name}.yaml")) or find_path(name)
    if path is None or not path.is_file():
        known = ", ".join(sorted([KEEP, *(table.stem for table in LABEL_MAPS.glob("*.yaml"))]))
        raise ConfigError(
            f"label_map {name!r} is neither a known table ({known}) nor a file: give a YAML file of 'source: target' lines"
        )
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (
        yaml.YAMLError,
        ValueError,
    ) as error:  # ValueError: not UTF-8, or a date that does not exist
        raise ConfigError(
            f"label_map {path}: not YAML ({' '.join(str(error).split())}): write 'source: target' lines"
        ) from error
    if not isinstance(mapping, dict) or not all(
        isinstance(text, str) and text for pair in mapping.items() for text in pair
    ):
        raise ConfigError(
            f"label_map {path}: must map source types to target types, one 'source: target' a line, O for outside"
        )
    if not set(mapping.values()) - {OUTSIDE}:
        raise ConfigError(
            f"label_map {path}: maps every type to O, so no entity is left: map at least one type to a target type"
        )
    return LabelMap(path.stem, mapping)
