"""brat: standoff annotations (``.ann``) beside the text that they belong to (``.txt``)."""

import gzip
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...config.schema import DataConfig
from ...errors import DataError
from ..files import GZIP_SUFFIX, read_lines
from ..findings import Findings
from .base import Format, Head, Span, TextWithSpans

ANNOTATION_SUFFIX, TEXT_SUFFIX = ".ann", ".txt"
OTHER_TYPES = {
    "R": "relation",
    "E": "event",
    "A": "attribute",
    "M": "modification",
    "N": "normalisation",
    "*": "equivalence",
    "#": "note",
}
"""What a line is, by its first character; lines of ``T`` are spans."""
BYTE_ORDER_MARK = "\ufeff"
_SPAN = re.compile(r"T[^\t]*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
_LINE_END = re.compile(r"[\r\n]")

Parts = tuple[tuple[int, int], ...]


def read_brat(
    path: Path,
    config: DataConfig,  # noqa: ARG001
    findings: Findings,
    split: str,
) -> Iterator[TextWithSpans]:
    """Yield the text that belongs to a file of annotations, with its spans.

    brat cuts a span at line ends. Parts with only white space between them are one span; other
    spans of several parts are discontinuous.

    Raises:
        DataError: there is no text beside the file, it is not UTF-8, or a line is no
            annotation.
    """
    found: list[tuple[str, Parts, str | None]] = []
    others: Counter[str] = Counter()
    for number, line in read_lines(path):
        if not line.strip():
            continue
        if line[0] in OTHER_TYPES:
            others[OTHER_TYPES[line[0]]] += 1
            continue
        match = _SPAN.fullmatch(line)
        if match is None:
            raise DataError(
                f"{path}:{number}: {line!r} is not a brat annotation: write its number, its type "
                "with the offsets, and its text, separated by tabs"
            )
        label, offsets, surface = match.groups()
        parts = tuple(
            (int(start), int(end))
            for start, _, end in (part.partition(" ") for part in offsets.split(";"))
        )
        found.append((label, parts, surface))
    for type_, count in others.items():
        findings.add("annotation_of_other_type", split, str(path), type_, count)
    text = _fitting_text(_read_text(path), found)
    spans = [_span(text, *annotation) for annotation in found]
    yield TextWithSpans(text, spans, 1, _stem(path))


def _matches(head: Head) -> bool:
    return head.kind == "lines" and head.suffix == ANNOTATION_SUFFIX


BRAT = Format(
    name="brat",
    title="brat",
    summary="an annotation file (.ann) beside each text file (.txt)",
    example="T1\tSOFTWARE 0 5\tRedis\nT2\tOS 9 15\tUbuntu\n",
    matches=_matches,
    read=read_brat,
    is_rows=False,
    suffixes=(ANNOTATION_SUFFIX,),
)


def _stem(path: Path) -> str:
    return path.name.removesuffix(GZIP_SUFFIX).removesuffix(ANNOTATION_SUFFIX)


def _read_text(path: Path) -> str:
    names = [f"{_stem(path)}{TEXT_SUFFIX}", f"{_stem(path)}{TEXT_SUFFIX}{GZIP_SUFFIX}"]
    text = next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    if text is None:
        raise DataError(f"{path}: no {names[0]} beside it: put the text there")
    with gzip.open(text) if text.suffix == GZIP_SUFFIX else text.open("rb") as file:
        content = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{text}: byte {content[error.start]:#04x} at {error.start} is not UTF-8: convert the "
            "file to UTF-8"
        ) from error


def _fitting_text(text: str, found: Sequence[tuple[str, Parts, str | None]]) -> str:
    r"""Return the text as its annotations count it.

    Some tools do not count the byte order mark, or count ``\r\n`` as one character.
    """
    readings = [text, text.removeprefix(BYTE_ORDER_MARK)]
    readings += [reading.replace("\r\n", "\n") for reading in readings]
    readings = list(dict.fromkeys(readings))
    fits = [
        sum(_same(reading, parts, surface) for _, parts, surface in found) for reading in readings
    ]
    return readings[fits.index(max(fits))]


def _same(text: str, parts: Parts, surface: str | None) -> bool:
    return surface is not None and _joined(text, parts) == _flat(surface)


def _joined(text: str, parts: Parts) -> str:
    """Return the parts as brat writes them: blanks between them, and instead of line ends."""
    return " ".join(_flat(text[start:end]) for start, end in parts)


def _flat(text: str) -> str:
    return _LINE_END.sub(" ", text)


def _span(text: str, label: str, parts: Parts, surface: str | None) -> Span:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(parts):
        if merged and not text[merged[-1][1] : start].strip():
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    first, last = merged[0][0], merged[-1][1]
    is_same = _same(text, parts, surface)
    if len(merged) > 1:
        return Span(first, last, label, None if is_same else surface, tuple(merged))
    return Span(first, last, label, text[first:last] if is_same else surface)
