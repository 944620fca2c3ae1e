"""Decide which answers stand in code, stack traces, URLs, paths and mail addresses."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from .regions import KINDS, find_regions

Policy = Literal["tag", "errors_only", "skip"]
"""What becomes of entities in a kind of region: all are answers, those of error types, or none."""


class Span(Protocol):
    """An entity of a text, in code points."""

    @property
    def start(self) -> int:
        """Return the offset of the first character."""

    @property
    def end(self) -> int:
        """Return the offset after the last character."""

    @property
    def label(self) -> str:
        """Return the type."""


AnySpan = TypeVar("AnySpan", bound=Span)


class RegionPolicies:
    """The policy of each kind of region."""

    def __init__(self, policies: Mapping[str, Policy], error_types: Iterable[str]) -> None:
        """
        Args:
            policies: policy by kind of region; a kind without one is tagged.
            error_types: the types that `errors_only` lets through.
        """
        self._policies = {kind: policies.get(kind, "tag") for kind in KINDS}
        self._error_types = frozenset(error_types)
        self._is_idle = all(policy == "tag" for policy in self._policies.values())

    def select(self, text: str, entities: Sequence[AnySpan]) -> list[AnySpan]:
        """Return the entities of a text that its regions let through, in order."""
        if self._is_idle or not entities:
            return list(entities)
        regions = find_regions(text)
        if not regions:
            return list(entities)
        selected: list[AnySpan] = []
        number = 0
        for entity in entities:
            while number < len(regions) and regions[number].end <= entity.start:
                number += 1
            touched = number
            while touched < len(regions) and regions[touched].start < entity.end:
                policy = self._policies[regions[touched].kind]
                if policy == "skip" or (
                    policy == "errors_only" and entity.label not in self._error_types
                ):
                    break
                touched += 1
            else:
                selected.append(entity)
        return selected
