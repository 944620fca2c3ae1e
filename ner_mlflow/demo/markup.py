"""Build every piece of HTML and Markdown that the showcase shows, with all values escaped."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence

import streamlit as st
from markupsafe import Markup

from ..data.highlights import Part, printable
from ..tagging.iob2 import Entity
from .style import hues_of

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def fill(template: str, **values: object) -> Markup:
    """Return HTML in which ``{name}`` is replaced by a value; values that are text are escaped."""
    return Markup(template).format(**values)


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """Return parts one after another; those that are text are escaped."""
    return Markup(separator).join(parts)


def show(markup: Markup) -> None:
    """Show HTML on the page.

    Raises:
        TypeError: the text was not built by this module, so nothing in it is escaped.
    """
    if not isinstance(markup, Markup):
        raise TypeError("only markup with escaped values may be shown")
    st.html(markup)


def plain(text: object) -> str:
    """Return Markdown that Streamlit shows as the very text, on one line."""
    return _PUNCTUATION.sub(r"\\\1", printable(" ".join(str(text).split())))


def label(text: object, limit: int = 60) -> str:
    """Return text for a chart, which reads a little HTML; longer texts are cut."""
    shown = printable(str(text))
    return html.escape(shown if len(shown) <= limit else f"{shown[: limit - 1]}…", quote=False)


def sentence(parts: Sequence[Part], hues: Mapping[str, str]) -> Markup:
    """Return a sentence as HTML, its entities in colour with their types behind them."""
    return join(
        (
            fill("{text}", text=printable(part.text))
            if part.type is None
            else _entity(printable(part.text), part.type, hues)
            for part in parts
        ),
        " ",
    )


def running_text(
    text: str,
    entities: Sequence[Entity],
    hues: Mapping[str, str],
    notes: Sequence[str] = (),
    marked: frozenset[Entity] = frozenset(),
) -> Markup:
    """Return a text as HTML, its entities in colour.

    Args:
        text: the text.
        entities: spans of characters, in order; one that overlaps an earlier one is left out.
        hues: type -> its colour.
        notes: shown when the pointer rests on an entity, one for each.
        marked: entities that get a frame.
    """
    pieces: list[Markup] = []
    position = 0
    for index, entity in enumerate(entities):
        if entity.start < position:
            continue
        pieces.append(fill("{text}", text=_lines(text[position : entity.start])))
        note = notes[index] if notes else ""
        shown = _lines(text[entity.start : entity.end])
        pieces.append(_entity(shown, entity.type, hues, note, entity in marked))
        position = entity.end
    pieces.append(fill("{text}", text=_lines(text[position:])))
    return fill('<div class="ner-text">{pieces}</div>', pieces=join(pieces))


def legend(types: Iterable[str], hues: Mapping[str, str]) -> Markup:
    """Return the names of types in their colours."""
    names = [_entity(type_, "", {"": hues.get(type_, "gray")}) for type_ in types]
    return fill('<div class="ner-legend">{names}</div>', names=join(names, " "))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], numeric: int = 0) -> Markup:
    """Return a small table.

    Args:
        columns: the header.
        rows: cells, which may be markup.
        numeric: how many of the last columns hold numbers, which are aligned right.
    """
    first = len(columns) - numeric

    def cells(tag: str, values: Sequence[object]) -> Markup:
        return join(
            fill(
                f"<{tag}{{style}}>{{value}}</{tag}>",
                style=Markup(' class="ner-number"') if index >= first else "",
                value=value,
            )
            for index, value in enumerate(values)
        )

    return fill(
        '<div class="ner-scroll"><table class="ner-table"><thead><tr>{head}</tr></thead>'
        "<tbody>{body}</tbody></table></div>",
        head=cells("th", columns),
        body=join(fill("<tr>{cells}</tr>", cells=cells("td", row)) for row in rows),
    )


def tile(name: str, value: str, note: str = "") -> Markup:
    """Return a figure with its name above it and a note below it."""
    return fill(
        '<div class="ner-tile"><div class="ner-name">{name}</div><div class="ner-value">{value}'
        '</div><div class="ner-note">{note}</div></div>',
        name=name,
        value=value,
        note=note,
    )


def tiles(parts: Iterable[Markup]) -> Markup:
    """Return tiles in one row."""
    return fill('<div class="ner-tiles">{parts}</div>', parts=join(parts))


def heading(title: str, lead: object, kicker: str = "") -> Markup:
    """Return the head of a page: a small line, the title and what the page says in a sentence."""
    return fill(
        '<div class="ner-head"><div class="ner-kicker">{kicker}</div><h1>{title}</h1>'
        '<p class="ner-lead">{lead}</p></div>',
        kicker=kicker,
        title=title,
        lead=lead,
    )


def section(title: str, note: object = "") -> Markup:
    """Return the head of a section of a page."""
    shown = fill('<p class="ner-note">{note}</p>', note=note) if note else ""
    return fill('<h2 class="ner-section">{title}</h2>{shown}', title=title, shown=shown)


def chip(text: str, kind: str = "") -> Markup:
    """Return a short word in a frame; ``kind`` is ``good``, ``bad`` or empty."""
    return fill('<span class="ner-chip ner-{kind}">{text}</span>', kind=kind or "plain", text=text)


def bold(text: object) -> Markup:
    """Return a value in bold."""
    return fill("<strong>{text}</strong>", text=text)


def commands(lines: Sequence[str]) -> Markup:
    """Return commands to copy."""
    return fill('<pre class="ner-code">{lines}</pre>', lines="\n".join(lines))


def type_hues(types: Iterable[str]) -> dict[str, str]:
    """Return a colour for each type, the same on every page that shows the same types."""
    return hues_of(sorted(set(types)))


def _entity(
    text: str, type_: str, hues: Mapping[str, str], note: str = "", marked: bool = False
) -> Markup:
    return fill(
        '<mark class="ner-entity{frame}" style="--hue:{hue}"{title}>{text}{type_}</mark>',
        frame=" ner-marked" if marked else "",
        hue=hues.get(type_, "gray"),
        title=fill(' title="{note}"', note=note) if note else "",
        text=text,
        type_=fill("<sub>{type_}</sub>", type_=printable(type_)) if type_ else "",
    )


def _lines(text: str) -> str:
    """Return a text whose characters all show; ends of lines stay."""
    return "\n".join(printable(line) for line in text.replace("\t", "    ").split("\n"))
