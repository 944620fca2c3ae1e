"""Count what reading and preparation leave out, change or note, each with places."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

SHOWN = 5
"""Places that a finding keeps; it counts the others."""


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        effect: ``left out``, ``changed`` or ``noted``.
        unit: what is counted, in the plural.
        text: the rest of the title.
    """

    effect: str
    unit: str
    text: str

    @property
    def title(self) -> str:
        """What is counted, in words: "files that belong to no split"."""
        return f"{self.unit} that {self.text}"


@dataclass(frozen=True)
class Finding:
    """All findings of one kind in one split.

    Attributes:
        kind: a key of :func:`finding_kinds`.
        split: the split, or an empty text for findings that concern no split.
        count: how many.
        places: the first :data:`SHOWN` places with their details.
    """

    kind: str
    split: str
    count: int
    places: tuple[str, ...]

    def __str__(self) -> str:
        kind = finding_kinds()[self.kind]
        more = self.count - len(self.places)
        places = "; ".join(self.places) + (f" and {more} more" if self.places and more > 0 else "")
        head = f"{self.split}: " if self.split else ""
        return f"{head}{kind.title}: {self.count:,}" + (f" ({places})" if places else "")


class Findings:
    """A collector of findings, and of facts such as the format and the columns of a split.

    ``facts`` holds texts by split and name.
    """

    def __init__(self) -> None:
        self.facts: dict[tuple[str, str], str] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._places: dict[tuple[str, str], list[str]] = {}

    def add(
        self, kind: str, split: str = "", place: str = "", detail: str = "", count: int = 1
    ) -> None:
        """Count a finding.

        Args:
            kind: a key of :func:`finding_kinds`.
            split: the split that it concerns, or an empty text.
            place: where it is, such as ``train.conll:7``.
            detail: what is there.
            count: how many; 0 counts nothing.

        Raises:
            KeyError: the table has no such kind.
        """
        finding_kinds()[kind]
        if not count:
            return
        key = (kind, split)
        self._counts[key] += count
        places = self._places.setdefault(key, [])
        if len(places) < SHOWN and (shown := f"{place} {detail}".strip()):
            places.append(shown)

    def include(self, others: "Findings", split: str) -> None:
        """Add the findings of another corpus under one split, with their places."""
        for other in others:
            key = (other.kind, split)
            self._counts[key] += other.count
            places = self._places.setdefault(key, [])
            places += other.places[: SHOWN - len(places)]

    def __iter__(self) -> Iterator[Finding]:
        """Yield the findings in the order of the table, then of the splits."""
        order = {kind: index for index, kind in enumerate(finding_kinds())}
        for kind, split in sorted(self._counts, key=lambda key: (order[key[0]], key[1])):
            key = (kind, split)
            yield Finding(kind, split, self._counts[key], tuple(self._places[key]))

    def count(self, kind: str, split: str | None = None) -> int:
        """Return how many findings of a kind there are, in one split or in all (None)."""
        return sum(
            count
            for (name, where), count in self._counts.items()
            if name == kind and split in (None, where)
        )

    def metrics(self) -> dict[str, float]:
        """Return the counts as metrics, such as ``train/tags_repaired``."""
        return {
            f"{finding.split}/{finding.kind}" if finding.split else finding.kind: float(
                finding.count
            )
            for finding in self
        }


@cache
def finding_kinds() -> dict[str, Kind]:
    """Return the kinds of ``findings.yaml``, in its order."""
    table = yaml.safe_load(Path(__file__).with_name("findings.yaml").read_text(encoding="utf-8"))
    return {name: Kind(**values) for name, values in table.items()}
