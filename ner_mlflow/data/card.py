"""Show the description of a corpus: as the page ``card.html``, and as text for a terminal."""

import os
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from ..pages import Grid, render_page
from .findings import Finding, finding_kinds
from .highlights import Part, printable, type_styles
from .inspection import EFFECTS, FileSummary, Inspection, SplitSummary, TypeSummary
from .sentences import SPLITS

WIDTH = 100
"""Columns of the terminal."""
LONGEST_NAME = 28
"""Columns of a type's name in the terminal."""
LONGEST_EXAMPLE = 40
"""Characters of an example on the page."""
MOST_FILES = 40
"""Files that the terminal and the page show, those with an error first."""
MOST_TYPES = 60
"""Types that the terminal shows."""
NONE = "–"
_HEADINGS = {"left out": "Left out", "changed": "Changed", "noted": "Noted"}
_COUNTS = ("sentences", "words", "entities", "documents")


def render_card(inspection: Inspection) -> str:
    """Return the page of a corpus."""
    types = inspection.prepared_types or inspection.types
    splits = [split.split for split in inspection.splits]
    kinds = finding_kinds()
    return render_page(
        "card.html",
        title=f"Dataset {printable(inspection.dataset)}",
        inspection=inspection,
        summary=_summary(inspection),
        outside=_outside_note(inspection),
        files=_file_grid(inspection.files),
        splits=_split_grid(inspection),
        facts=[(name, printable(text)) for name, text in inspection.facts.items()],
        split_facts=list(_split_facts(inspection.splits)),
        sources=_type_rows(inspection.types, splits),
        source_splits=splits,
        targets=_type_rows(
            inspection.prepared_types if inspection.label_map != "keep" else (), SPLITS
        ),
        target_splits=SPLITS,
        effects=[
            {
                "heading": _HEADINGS[effect],
                "findings": [
                    {
                        "split": finding.split,
                        "count": f"{finding.count:,}",
                        "text": kinds[finding.kind].title,
                        "places": [printable(place) for place in finding.places],
                        "more": finding.count - len(finding.places) if finding.places else 0,
                    }
                    for finding in findings
                ],
            }
            for effect, findings in _group(inspection.findings)
        ],
        styles=type_styles(sorted(type_.type for type_ in types)),
        groups=[
            {
                "split": split,
                "sentences": [
                    {
                        "origin": printable(sentence.origin),
                        "parts": [Part(printable(p.text), p.type) for p in sentence.parts],
                    }
                    for sentence in inspection.sentences
                    if sentence.split == split
                ],
            }
            for split in dict.fromkeys(sentence.split for sentence in inspection.sentences)
        ],
    )


def format_text(inspection: Inspection) -> str:
    """Return a corpus as text of :data:`WIDTH` columns; longer paths and commands are not cut."""
    folder = _shared_folder(inspection)
    inspection = _relative_to(folder, inspection)
    parts: list[Sequence[str]] = [
        [printable(inspection.dataset), *_indent(_summary(inspection), 2)],
        list(_file_lines(inspection, folder)),
        list(_split_lines(inspection)),
        list(_type_lines(inspection)),
        list(_label_map_lines(inspection)),
    ]
    for effect, findings in _group(inspection.findings):
        parts.append([_HEADINGS[effect], *chain.from_iterable(map(_finding_lines, findings))])
    if inspection.splits and not inspection.findings:
        parts.append(["Nothing is left out, changed or noted."])
    if inspection.command:
        parts.append(["Continue with", f"  {inspection.command}"])
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _summary(inspection: Inspection) -> str:
    if inspection.error and not inspection.splits:
        return "refused"
    sentences = sum(split.sentences for split in inspection.splits)
    parts = [
        *inspection.formats,
        *dict.fromkeys(
            split.facts["scheme"] for split in inspection.splits if "scheme" in split.facts
        ),
        _plural(len(inspection.splits), "split"),
        _plural(sentences, "sentence"),
        _plural(len(inspection.types), "type"),
    ]
    text = ", ".join(parts)
    return f"{text}; refused" if inspection.error else text


def _outside_note(inspection: Inspection) -> str:
    if not inspection.entities_outside:
        return ""
    return (
        f"{inspection.entities_outside:,} of {inspection.entities:,} entities have a type that "
        "becomes O"
    )


def _most(files: Sequence[FileSummary]) -> Sequence[FileSummary]:
    if len(files) <= MOST_FILES:
        return files
    return sorted(files, key=lambda file: not file.error)[:MOST_FILES]


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _group(findings: Iterable[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    kinds = finding_kinds()
    for effect in EFFECTS:
        of_effect = [finding for finding in findings if kinds[finding.kind].effect == effect]
        if of_effect:
            yield effect, of_effect


def _split_facts(splits: Sequence[SplitSummary]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each fact, once where all splits share it."""
    for name in dict.fromkeys(name for split in splits for name in split.facts):
        texts = {split.split: split.facts[name] for split in splits if name in split.facts}
        if len(set(texts.values())) == 1 and len(texts) == len(splits):
            yield name, printable(next(iter(texts.values())))
        else:
            for split, text in texts.items():
                yield f"{name} of {split}", printable(text)


# The page


def _file_grid(files: Sequence[FileSummary]) -> Grid | None:
    if not files:
        return None
    is_checked = any(file.sentences is not None for file in files)
    rows = [
        [file.split, printable(file.path), file.format]
        + ([NONE if file.sentences is None else f"{file.sentences:,}"] if is_checked else [])
        + ([printable(file.error)] if is_checked else [])
        for file in _most(files)
    ]
    if len(files) > MOST_FILES:
        rows.append(["", f"and {len(files) - MOST_FILES:,} more", *[""] * (len(rows[0]) - 2)])
    columns = ["split", "file", "format", *(("sentences", "error") if is_checked else ())]
    return Grid(columns, [name == "sentences" for name in columns], rows, False)


def _split_grid(inspection: Inspection) -> Grid | None:
    if not inspection.splits:
        return None
    read = {split.split: split for split in inspection.splits}
    prepared = {split.split: split for split in inspection.prepared_splits}
    columns = ["split", *_COUNTS]
    if prepared:
        columns += [f"{name} prepared" for name in _COUNTS[:3]]
    rows = []
    for split in SPLITS:
        if split in read or split in prepared:
            row = [split, *_counts(read.get(split), _COUNTS)]
            rows.append(row + (_counts(prepared.get(split), _COUNTS[:3]) if prepared else []))
    return Grid(columns, [name != "split" for name in columns], rows, False)


def _counts(split: SplitSummary | None, names: Sequence[str]) -> list[str]:
    if split is None:
        return [NONE] * len(names)
    return [
        NONE if name == "documents" and not split.documents else f"{getattr(split, name):,}"
        for name in names
    ]


def _type_rows(types: Iterable[TypeSummary], splits: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "type": printable(type_.type),
            "target": printable(type_.target),
            "cells": [
                {
                    "count": f"{type_.counts.get(split, 0):,}",
                    "examples": [
                        _cut(printable(text), LONGEST_EXAMPLE)
                        for text in type_.examples.get(split, ())
                    ],
                }
                for split in splits
            ],
        }
        for type_ in types
    ]


# The terminal


def _shared_folder(inspection: Inspection) -> str:
    """Return the folder of all files, with a slash at its end, or an empty text.

    It is the corpus if that is a folder, else the folder that several files share.
    """
    paths = [file.path for file in inspection.files]
    folder = os.path.join(inspection.dataset, "")  # noqa: PTH118  # keeps the path as it was typed
    if paths and all(path.startswith(folder) for path in paths):
        return folder
    parents = {os.path.dirname(path) for path in paths}  # noqa: PTH120
    if len(paths) > 1 and len(parents) == 1 and (parent := parents.pop()):
        return os.path.join(parent, "")  # noqa: PTH118
    return ""


def _relative_to(folder: str, inspection: Inspection) -> Inspection:
    """Return a corpus with all places below a folder as paths relative to it."""
    if not folder:
        return inspection

    def relative(text: str) -> str:
        return text.replace(folder, "")

    return replace(
        inspection,
        files=tuple(
            replace(file, path=relative(file.path), error=relative(file.error))
            for file in inspection.files
        ),
        facts={name: relative(text) for name, text in inspection.facts.items()},
        findings=tuple(
            replace(finding, places=tuple(map(relative, finding.places)))
            for finding in inspection.findings
        ),
    )


def _file_lines(inspection: Inspection, folder: str) -> Iterator[str]:
    if inspection.files:
        yield f"Files in {printable(folder)}" if folder else "Files"
        yield from _file_table(inspection.files)
    for name, text in inspection.facts.items():
        yield from _indent(f"{name}: {printable(text)}", 2)


def _file_table(files: Sequence[FileSummary]) -> Iterator[str]:
    rows = []
    for file in _most(files):
        if file.error:
            state = f"error after {_plural(file.sentences or 0, 'sentence')}"
        else:
            state = "" if file.sentences is None else _plural(file.sentences, "sentence")
        rows.append([file.split or NONE, printable(file.path), file.format, state])
    for file, line in zip(_most(files), _align(rows), strict=True):
        yield f"  {line}"
        if file.error:
            yield from _indent(printable(file.error), 6)
    if len(files) > MOST_FILES:
        yield f"  and {len(files) - MOST_FILES:,} more"


def _split_lines(inspection: Inspection) -> Iterator[str]:
    grid = _split_grid(inspection)
    if grid is None:
        return
    keep = [number for number, name in enumerate(grid.columns) if name in ("split", *_COUNTS)]
    heads = ["Splits", *_COUNTS]
    rows = [[row[number] for number in keep] for row in grid.rows]
    if inspection.prepared_splits:
        prepared = {split.split: split.sentences for split in inspection.prepared_splits}
        heads.append("sentences prepared")
        rows = [[*row, f"{prepared.get(row[0], 0):,}"] for row in rows]
    table = [heads, *([f"  {row[0]}", *row[1:]] for row in rows)]
    yield from _align(table, right=range(1, len(heads)))
    for name, text in _split_facts(inspection.splits):
        yield from _indent(f"{name}: {text}", 2)


def _type_lines(inspection: Inspection) -> Iterator[str]:
    types, splits = inspection.types, [split.split for split in inspection.splits]
    if not types:
        return
    has_target = any(type_.target not in ("", type_.type) for type_ in types)
    table = [["Types", *(["becomes"] if has_target else []), *splits]]
    for type_ in types[:MOST_TYPES]:
        names = [f"  {_cut(printable(type_.type), LONGEST_NAME)}"]
        if has_target:
            names.append(_cut(printable(type_.target), LONGEST_NAME))
        table.append([*names, *(f"{type_.counts.get(split, 0):,}" for split in splits)])
    first_count = 2 if has_target else 1
    lines = list(_align(table, right=range(first_count, len(table[0]))))
    room = WIDTH - _width(lines[0]) - 3
    yield f"{lines[0]}   examples"
    for type_, line in zip(types, lines[1:], strict=False):
        yield f"{line}   {_fill(_examples(type_), room)}".rstrip()
    if len(types) > MOST_TYPES:
        yield f"  and {len(types) - MOST_TYPES} more"
    if note := _outside_note(inspection):
        yield f"  {note}"


def _examples(type_: TypeSummary) -> list[str]:
    """Return examples of all splits in turn, the most frequent first, each once."""
    longest = max(map(len, type_.examples.values()), default=0)
    texts = [
        examples[rank]
        for rank in range(longest)
        for examples in type_.examples.values()
        if rank < len(examples)
    ]
    return [printable(text) for text in dict.fromkeys(texts)]


def _label_map_lines(inspection: Inspection) -> Iterator[str]:
    if not inspection.fits:
        return
    yield "Label maps"
    for fit in inspection.fits:
        is_taken = fit.name == inspection.label_map
        text = f"{printable(str(fit))}{': recommended' if is_taken else ''}"
        yield from textwrap.wrap(
            text, WIDTH, initial_indent="* " if is_taken else "  ", subsequent_indent="      "
        )


def _finding_lines(finding: Finding) -> list[str]:
    kind = finding_kinds()[finding.kind]
    head = f"{finding.split}: " if finding.split else ""
    places = [printable(place) for place in finding.places]
    if places and (more := finding.count - len(places)) > 0:
        places.append(f"and {more:,} more")
    lines = list(_indent(f"{head}{kind.title}: {finding.count:,}", 2))
    return lines + [line for place in places for line in _indent(place, 6)]


def _indent(text: str, columns: int) -> Iterator[str]:
    indent = " " * columns
    yield from textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _align(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> Iterator[str]:
    """Yield the rows of a table as lines, columns two blanks apart."""
    numbers = set(right)
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            " " * (widths[number] - _width(text)) + text
            if number in numbers
            else text + " " * (widths[number] - _width(text))
            for number, text in enumerate(row)
        ]
        yield "  ".join(cells).rstrip()


def _fill(texts: Sequence[str], room: int) -> str:
    """Return as many of the texts as fit, separated by commas; the first is cut if it is long."""
    line = _cut(texts[0], room) if texts else ""
    for text in texts[1:]:
        longer = f"{line}, {text}"
        if _width(longer) <= room:
            line = longer
    return line


def _cut(text: str, columns: int) -> str:
    if _width(text) <= columns:
        return text
    while text and _width(text) > columns - 1:
        text = text[:-1]
    return f"{text}…"


def _width(text: str) -> int:
    """Return the columns that a text takes in a terminal."""
    return sum(0 if unicodedata.combining(character) else _columns(character) for character in text)


def _columns(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
