"""List the documents that are left out, each with its place, the reason and its beginning."""

from collections import Counter
from typing import NamedTuple

import pandas as pd

from ..data.findings import Findings
from ..redaction import redact, redact_likely_secrets

LISTED = 100
"""Documents of each reason that are listed, the first ones; all are counted."""
EXCERPT_CHARACTERS = 120
KINDS_PREFIX = "weak_"
COLUMNS = ("reason", "number", "of", "place", "document", "detail", "excerpt")


class Notice(NamedTuple):
    """What is to be told of a place in a source, such as a document that is left out.

    Attributes:
        kind: a kind of ``findings.yaml``.
        origin: the place for messages.
        detail: what is there.
        id: that of the document or of the row; empty: it has none.
        excerpt: the :func:`beginning` of the text.
        amount: how many.
    """

    kind: str
    origin: str
    detail: str = ""
    id: str = ""
    excerpt: str = ""
    amount: int = 1


def beginning(text: str) -> str:
    """Return the beginning of a text, as written, with what tells whether it ends in a secret."""
    return text[: 2 * EXCERPT_CHARACTERS]


def excerpt(text: str) -> str:
    """Return a beginning as one line of :data:`EXCERPT_CHARACTERS`, likely secrets replaced."""
    line = redact_likely_secrets(redact(" ".join(text.split())))
    return line[:EXCERPT_CHARACTERS].rstrip()


class SkippedDocuments:
    """Counts what is left out in ``findings``, and lists the first documents of each reason.

    The reason is the kind of finding without ``weak_``. Kinds without this prefix leave no document
    out: they are counted and not listed.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._rows: dict[str, list[Notice]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, notice: Notice, split: str = "") -> None:
        """Count a notice, as a finding of a split or of none, and list it."""
        kind, origin, detail, _, text, amount = notice
        detail = redact_likely_secrets(detail)
        self.findings.add(kind, split, origin, detail, amount)
        if not kind.startswith(KINDS_PREFIX) or not amount:
            return
        self._counts[kind] += amount
        rows = self._rows.setdefault(kind, [])
        if len(rows) < LISTED:
            rows.append(notice._replace(detail=detail, excerpt=excerpt(text)))

    def reasons(self) -> dict[str, int]:
        """Return how many were left out, by kind of finding, in the order of their first one."""
        return dict(self._counts)

    def table(self) -> pd.DataFrame:
        """Return the listed documents.

        Returns:
            A row for each, by reason and in the order of the source: reason, number (from 1), of
            (how many the reason left out, listed or not), place, document (its id), detail and
            excerpt, a line in which what looks like a secret is replaced.
        """
        rows = [
            (
                kind.removeprefix(KINDS_PREFIX),
                number,
                self._counts[kind],
                notice.origin,
                notice.id,
                notice.detail,
                notice.excerpt,
            )
            for kind in sorted(self._rows)
            for number, notice in enumerate(self._rows[kind], 1)
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))
