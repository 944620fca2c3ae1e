"""Decide which answers stand in code, stack traces, URLs, paths and mail addresses."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Literal

from .regions import KINDS, Region, find_regions

Policy = Literal["tag", "errors_only", "skip"]
"""What becomes of entities in a kind of region: all are answers, those of error types, or none."""


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

    def allow(self, regions: "TextRegions", start: int, end: int, label: str) -> bool:
        """Return whether the regions of a text let an entity through.

        Args:
            regions: those of the text.
            start: offset of the entity's first character, in code points.
            end: offset after its last character.
            label: its type.
        """
        return self._is_idle or not any(
            self._policies[region.kind] == "skip"
            or (self._policies[region.kind] == "errors_only" and label not in self._error_types)
            for region in regions.overlapping(start, end)
        )


class TextRegions:
    """The regions of a text, which are looked for when they are first needed."""

    def __init__(self, text: str) -> None:
        self._text = text

    def overlapping(self, start: int, end: int) -> list[Region]:
        """Return the regions that share a character with ``start`` up to ``end``."""
        regions, ends = self._found
        first = last = bisect_right(ends, start)
        while last < len(regions) and regions[last].start < end:
            last += 1
        return regions[first:last]

    @cached_property
    def _found(self) -> tuple[list[Region], list[int]]:
        regions = find_regions(self._text)
        return regions, [region.end for region in regions]
