"""The entity types of a dataset or a model, and the tag that each label id stands for."""

from dataclasses import dataclass
from functools import cached_property

from .iob2 import OUTSIDE


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
