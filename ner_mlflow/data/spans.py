"""Turn texts and words with spans into sentences of words with IOB2 tags."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..config.schema import DataConfig
from ..errors import DataError
from ..redaction import shorten
from ..tagging.iob2 import OUTSIDE
from ..tagging.words import Words, encodable, split_sentences
from .findings import Findings
from .formats.base import Span, TextWithSpans, WordsWithSpans

_LAST_OF_BASIC_PLANE = "\uffff"
_WHITE_SPACE = re.compile(r"\s+")

Extents = list[tuple[int, int]]
"""The start and end of each part of a span, in order."""


class CutSentence(NamedTuple):
    """A sentence as the arguments of ``SentencesBuilder.append`` take it."""

    tokens: list[str]
    tags: list[str]
    text: str | None = None
    starts: list[int] | None = None


class _Entity(NamedTuple):
    """A span that fits its text, and how messages name it."""

    start: int
    end: int
    label: str
    name: str
    is_trimmed: bool = False


class _Context(NamedTuple):
    """Where a record stands, and what becomes of its spans."""

    config: DataConfig
    findings: Findings
    split: str
    place: str

    def add(self, kind: str, detail: str = "", count: int = 1) -> None:
        """Count a finding of this record."""
        self.findings.add(kind, self.split, self.place, detail, count)

    def reject(self, span: Span, fault: str, way_out: str = "") -> None:
        """Refuse a span that does not fit its text, or count it as left out."""
        name = _name(span)
        if self.config.invalid_spans == "error":
            raise DataError(
                f"{self.place}: span {name}: {fault}: correct it{way_out}, "
                "or choose invalid_spans=drop"
            )
        self.add("span_invalid", f"{name}: {fault}")


def cut_text(
    record: TextWithSpans, config: DataConfig, findings: Findings, split: str, place: str
) -> Iterator[CutSentence]:
    """Yield the sentences of a text, cut into words as the served model cuts them.

    A word is cut where a span begins or ends inside it. The sentences' texts join to the text.
    Offsets are checked against the surfaces that the file names; spans that overlap are resolved
    by ``config.overlaps``, and what is left out or changed is counted.

    Raises:
        DataError: a span does not fit the text, or overlaps, where the settings refuse it.
    """
    context = _Context(config, findings, split, place)
    text = record.text
    if not text.isascii() and (encoded := encodable(text)) != text:
        halves = sum(map(str.__ne__, text, encoded))
        context.add("half_surrogate_replaced", count=halves)
        text = encoded
    sentences = split_sentences(text)
    entities = _entities_of_text(text, record.spans, sentences, context) if record.spans else []
    if not sentences:
        context.add("row_without_words")
        return
    if entities:
        sentences = _join_sentences(sentences, entities, context)
    begin, number = 0, 0
    for index, words in enumerate(sentences):
        end = sentences[index + 1].starts[0] if index + 1 < len(sentences) else len(text)
        first = number
        while number < len(entities) and entities[number].start < end:
            number += 1
        tags = _tag_sentence(words, entities[first:number], context)
        starts = [start - begin for start in words.starts] if begin else words.starts
        yield CutSentence(words.texts, tags, text[begin:end], starts)
        begin = end


def tag_words(
    record: WordsWithSpans, config: DataConfig, findings: Findings, split: str, place: str
) -> list[str]:
    """Return the IOB2 tags of words with spans, which are resolved and counted as in a text.

    Raises:
        DataError: as :func:`cut_text`.
    """
    context = _Context(config, findings, split, place)
    tags = [OUTSIDE] * len(record.tokens)
    for entity in _entities_of_words(record.tokens, record.spans, context):
        _set_tags(tags, entity.start, entity.end, entity.label)
    return tags


def _set_tags(tags: list[str], start: int, end: int, label: str) -> None:
    tags[start] = f"B-{label}"
    tags[start + 1 : end] = [f"I-{label}"] * (end - start - 1)


# Words and sentences


def _join_sentences(
    sentences: list[Words], entities: Sequence[_Entity], context: _Context
) -> list[Words]:
    """Return the sentences, joined where an entity runs across their ends."""
    starts = [words.starts[0] for words in sentences]
    joined: set[int] = set()  # numbers of sentences that belong to the one before
    for entity in entities:
        first, last = bisect_right(starts, entity.start), bisect_left(starts, entity.end)
        if first < last:
            joined.update(range(first, last))
            context.add("sentences_joined", entity.name, last - first)
    if not joined:
        return sentences
    result: list[Words] = []
    for number, words in enumerate(sentences):
        if number in joined:
            result[-1].texts.extend(words.texts)
            result[-1].starts.extend(words.starts)
            result[-1].ends.extend(words.ends)
        else:
            result.append(words)
    return result


def _tag_sentence(words: Words, entities: Sequence[_Entity], context: _Context) -> list[str]:
    """Return the tags of the words, after cutting the words where an entity begins or ends."""
    cut: set[int] = set()  # starts of the pieces of words that were cut
    for offset in sorted({offset for entity in entities for offset in entity[:2]}):
        number = bisect_right(words.starts, offset) - 1
        start, end = words.starts[number], words.ends[number]
        if not start < offset < end:
            continue
        if start not in cut:
            context.add("word_cut", repr(shorten(words.texts[number])))
        cut.add(offset)
        text = words.texts[number]
        words.texts[number : number + 1] = text[: offset - start], text[offset - start :]
        words.starts.insert(number + 1, offset)
        words.ends.insert(number, offset)
    tags = [OUTSIDE] * len(words.texts)
    for entity in entities:
        first, last = bisect_left(words.starts, entity.start), bisect_left(words.starts, entity.end)
        _set_tags(tags, first, last, entity.label)
    return tags


# Spans of characters


def _entities_of_text(
    text: str, spans: Sequence[Span], sentences: Sequence[Words], context: _Context
) -> list[_Entity]:
    """Return the entities of a text in order; none overlaps another.

    Each begins and ends within a word: white space and hidden characters at its ends are trimmed.
    """
    starts = [start for words in sentences for start in words.starts]
    ends = [end for words in sentences for end in words.ends]
    is_basic = text.isascii() or max(text) <= _LAST_OF_BASIC_PLANE
    offsets = None if is_basic else _utf16_offsets(text, spans, context)
    entities: list[_Entity] = []
    for span in spans:
        _check_label(span, context)
        extents, fault = _locate(text, span, offsets)
        if fault:
            context.reject(span, fault, "" if is_basic else ", set offset_unit")
            continue
        if len(extents) > 1:
            _leave_out_discontinuous(span, context)
            continue
        first = bisect_right(ends, extents[0][0])
        last = bisect_left(starts, extents[0][1]) - 1
        if first > last:
            context.reject(span, "it holds hidden characters only", "")
            continue
        start, end = max(extents[0][0], starts[first]), min(extents[0][1], ends[last])
        name = _name(span, text[start:end])
        entities.append(_Entity(start, end, span.label, name, (start, end) != extents[0]))
    kept = _resolve(entities, context)
    for entity in kept:
        if entity.is_trimmed:
            context.add("span_trimmed", entity.name)
    return kept


def _utf16_offsets(text: str, spans: Sequence[Span], context: _Context) -> Mapping[int, int] | None:
    """Return the offset in code points by the offset in UTF-16 units, or None if the spans of this
    text, which has characters beyond the basic plane, count code points."""
    unit = context.config.offset_unit
    if unit == "code_points":
        return None
    table, units = {0: 0}, 0
    for number, character in enumerate(text, start=1):
        units += 2 if character > _LAST_OF_BASIC_PLANE else 1
        table[units] = number
    named = [span for span in spans if span.surface is not None]
    if unit == "auto":
        if not named:
            context.add("offsets_unchecked")
            return None
        fits = [
            (not _locate(text, span, None)[1], not _locate(text, span, table)[1]) for span in named
        ]
        in_code_points, in_units = (sum(column) for column in zip(*fits, strict=True))
        if in_units <= in_code_points:
            if in_units == in_code_points > 0 and _differ(spans, table):
                context.add("offsets_ambiguous")
            return None
    context.add("offsets_in_utf16")
    return table


def _differ(spans: Sequence[Span], table: Mapping[int, int]) -> bool:
    """Return whether a span has another extent if its offsets count UTF-16 units."""
    return any(table.get(offset) != offset for span in spans for offset in (span.start, span.end))


def _locate(text: str, span: Span, table: Mapping[int, int] | None) -> tuple[Extents, str]:
    """Return the extent of a span in code points, and what is wrong with it, or nothing.

    Parts with nothing but white space between are one.
    """
    extents = list(span.parts) or [(span.start, span.end)]
    size = len(text) if table is None else next(reversed(table))
    if fault := _misfit(extents, size, "characters" if table is None else "UTF-16 units"):
        return [], fault
    if table is not None:
        if any(offset not in table for extent in extents for offset in extent):
            return [], "an end falls within a character of two UTF-16 units"
        extents = [(table[start], table[end]) for start, end in extents]
    solid = [(start, end) for start, end in extents if not text[start:end].isspace()]
    if not solid:
        return [], "it holds white space only"
    if span.surface is not None and not _fits(text, extents, span.surface):
        there = " ... ".join(text[start:end] for start, end in extents)
        return (
            [],
            f"the text has {shorten(there)!r} there, the file names {shorten(span.surface)!r}",
        )
    return _merge(solid, lambda start, end: text[start:end].isspace()), ""


def _fits(text: str, extents: Extents, surface: str) -> bool:
    """Return whether a surface is the text of a span, apart from white space.

    Label Studio writes a line break as a backslash and n. Brat writes a blank between parts.
    """
    if len(extents) == 1 and text[slice(*extents[0])] == surface:
        return True
    there = {
        _blanks(" ".join(text[start:end] for start, end in extents)),
        _blanks(text[extents[0][0] : extents[-1][1]]),
    }
    surface = encodable(surface)
    return bool(there & {_blanks(surface), _blanks(surface.replace("\\n", "\n"))})


def _blanks(text: str) -> str:
    """Return a text with single blanks for white space, and none at its ends."""
    return _WHITE_SPACE.sub(" ", text).strip()


# Spans of words


def _entities_of_words(
    tokens: Sequence[str], spans: Sequence[Span], context: _Context
) -> list[_Entity]:
    """Return the entities of words in order; none overlaps another."""
    entities: list[_Entity] = []
    for span in spans:
        _check_label(span, context)
        extents = list(span.parts) or [(span.start, span.end)]
        words = [word for start, end in extents for word in tokens[start:end]]
        if fault := _misfit(extents, len(tokens), "words"):
            context.reject(span, fault)
        elif span.surface is not None and _joined(span.surface) != _joined("".join(words)):
            there, named = shorten(" ".join(words)), shorten(span.surface)
            context.reject(span, f"the words there are {there!r}, the file names {named!r}")
        elif len(merged := _merge(extents, lambda _start, _end: False)) > 1:
            _leave_out_discontinuous(span, context)
        else:
            start, end = merged[0]
            entities.append(_Entity(start, end, span.label, _name(span, " ".join(words))))
    return _resolve(entities, context)


def _joined(text: str) -> str:
    """Return a text without white space."""
    return _WHITE_SPACE.sub("", text)


# All spans


def _check_label(span: Span, context: _Context) -> None:
    label = span.label
    if not isinstance(label, str) or not label.strip() or encodable(label) != label:
        raise DataError(
            f"{context.place}: span {span.start!r}-{span.end!r}: label {label!r} is not text: "
            "give each span a type"
        )


def _misfit(extents: Extents, size: int, unit: str) -> str:
    """Return what is wrong with the offsets of a span in something of this size, or nothing."""
    for start, end in extents:
        if not isinstance(start, int) or not isinstance(end, int):
            return "an offset is not a whole number"
        if start >= end:
            return "it does not end after its start"
        if start < 0 or end > size:
            return f"it is not within the {size} {unit}"
    return ""


def _merge(extents: Extents, is_nothing: Callable[[int, int], bool]) -> Extents:
    """Return the parts of a span in order, joined where nothing stands between two."""
    merged: Extents = []
    for start, end in sorted(extents):
        if merged and (start <= merged[-1][1] or is_nothing(merged[-1][1], start)):
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _leave_out_discontinuous(span: Span, context: _Context) -> None:
    if context.config.overlaps == "error":
        raise DataError(
            f"{context.place}: span {_name(span)} is discontinuous: make it one part, or choose "
            "overlaps=longest, which leaves it out"
        )
    context.add("span_discontinuous", _name(span))


def _resolve(entities: list[_Entity], context: _Context) -> list[_Entity]:
    """Return the entities in order, without duplicates and overlaps.

    Raises:
        DataError: two entities overlap and the settings refuse it.
    """
    entities.sort(key=lambda entity: entity.start)
    if all(one.end <= next_.start for one, next_ in pairwise(entities)):
        return entities
    unique = {entity[:3]: entity for entity in reversed(entities)}
    for entity in entities:
        if unique[entity[:3]] is not entity:
            context.add("span_duplicate", entity.name)
    distinct = [entity for entity in entities if unique[entity[:3]] is entity]
    if context.config.overlaps == "longest":
        distinct.sort(key=lambda entity: entity.start - entity.end)
    kept: list[_Entity] = []  # sorted by start, hence by end
    for entity in distinct:
        number = bisect_left(kept, entity.end, key=lambda other: other.start)
        if not number or kept[number - 1].end <= entity.start:
            kept.insert(number, entity)
            continue
        other = kept[number - 1]
        if context.config.overlaps == "error":
            raise DataError(
                f"{context.place}: spans {other.name} and {entity.name} overlap: remove one, or "
                "choose overlaps=longest or overlaps=first"
            )
        context.add("span_overlapping", f"{entity.name} (kept {other.name})")
    return kept


def _name(span: Span, surface: str | None = None) -> str:
    """Return how messages name a span: its offsets in the file, its label and its surface."""
    extents = span.parts or ((span.start, span.end),)
    offsets = ";".join(f"{start!r}-{end!r}" for start, end in extents)
    label = span.label if span.label.isprintable() else repr(span.label)
    return f"{offsets} {shorten(label)}" + (f" {shorten(surface)!r}" if surface is not None else "")
