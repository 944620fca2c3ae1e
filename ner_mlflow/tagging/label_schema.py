"""Derive the labels of a model, and their ids, from entity types."""

from dataclasses import dataclass
from functools import cached_property

from .iob2 import OUTSIDE


@dataclass(frozen=True)
class LabelSchema:
    """The entity types of a dataset or a model, without repetition and in alphabetical order."""

    types: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", tuple(sorted(set(self.types))))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Return the tags by id: ``O``, then ``B-`` and ``I-`` of each type in turn."""
        return (OUTSIDE, *(f"{prefix}-{type_}" for type_ in self.types for prefix in "BI"))

    @cached_property
    def ids(self) -> dict[str, int]:
        """Return the ids by tag."""
        return {label: id_ for id_, label in enumerate(self.labels)}
