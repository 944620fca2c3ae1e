"""Recognise the lines of column files that begin a document, and name the documents."""

import re
from pathlib import Path

from ..files import read_blocks
from ..findings import Findings

DOCSTART = "-DOCSTART-"
_NAMED = re.compile(
    r"#\s*newdoc(?:\s+id\s*=\s*(?P<id>.*\S))?(?:\s.*)?|#begin document (?P<part>.*)"
)
_LINE = re.compile(
    rb"^(?:-DOCSTART-[\s]|-DOCSTART-$|#[ \t]*newdoc\b|#begin document )", re.MULTILINE
)


class Documents:
    """Names the documents of a file as its lines are read.

    If a file is one document, its sentences get no document, and a finding notes it.

    Attributes:
        name: the document of the next sentence, or None.
    """

    def __init__(self, path: Path, findings: Findings, split: str) -> None:
        self.name: str | None = None
        self._path = path
        self._findings = findings
        self._split = split
        self._number = 0
        self._is_alone = False

    def begin(self, line: str, number: int, is_first: bool) -> None:
        """Begin a document.

        Args:
            line: a line for which :func:`begins_document` is true.
            number: its number.
            is_first: no sentence came before it.
        """
        self._number += 1
        if self._number == 1 and is_first and not _has_second(self._path):
            self._is_alone = True
            self._findings.add("documents_ignored", self._split, f"{self._path}:{number}")
        if self._is_alone:
            return
        match = _NAMED.fullmatch(line.strip())
        named = (match["id"] or match["part"]) if match else None
        self.name = named or f"{self._path.name}#{self._number}"


def begins_document(line: str) -> bool:
    """Return whether a line that begins with ``-`` or ``#`` begins a document."""
    if line.startswith(DOCSTART):
        return line == DOCSTART or line[len(DOCSTART)] in " \t"
    return _NAMED.fullmatch(line.strip()) is not None


def _has_second(path: Path) -> bool:
    """Return whether more than one line of a file begins a document."""
    count = 0
    rest = b""
    for block in read_blocks(path):
        text = rest + block
        begin = text.rfind(b"\n") + 1
        count += len(_LINE.findall(text[:begin]))
        if count > 1:
            return True
        rest = text[begin:]
    return count + len(_LINE.findall(rest)) > 1
