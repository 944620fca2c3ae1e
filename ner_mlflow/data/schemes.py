"""Recognise tagging schemes and convert their tags to IOB2.

A tag is ``O``, ``PREFIX-TYPE``, a prefix alone (it has no type), or a type alone (scheme IO). A
scheme says what the prefixes mean. IOB1 is the scheme of Ramshaw and Marcus, "Text Chunking using
Transformation-Based Learning" (1995); the other names are those in common use.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..config.schema import DataConfig
from ..errors import DataError
from ..redaction import shorten
from ..tagging.iob2 import OUTSIDE
from .findings import SHOWN, Findings
from .sentences import Sentences, TagIds

_OUTSIDE, BEGIN, INSIDE, END, SINGLE = range(5)
"""Roles of a word. It begins an entity, is inside one, ends one, or is one alone. IOB1 and IOB2 use
BEGIN and INSIDE for the last word of an entity too."""


@dataclass(frozen=True)
class Scheme:
    """A tagging scheme.

    Attributes:
        roles: the role that each prefix gives a word.
        inside_begins: an INSIDE tag that continues no entity begins one.
        begin_separates: BEGIN stands only directly after an entity of the same type.
    """

    roles: Mapping[str, int]
    inside_begins: bool = False
    begin_separates: bool = False

    @property
    def has_ends(self) -> bool:
        """Whether an entity of several words ends with an END tag."""
        return END in self.roles.values()


SCHEMES = MappingProxyType(
    {
        "IOB2": Scheme({"B": BEGIN, "I": INSIDE}),
        "IO": Scheme({"I": INSIDE}, inside_begins=True),
        "IOB1": Scheme({"B": BEGIN, "I": INSIDE}, inside_begins=True, begin_separates=True),
        "BIOES": Scheme({"B": BEGIN, "I": INSIDE, "E": END, "S": SINGLE}),
        "BILOU": Scheme({"B": BEGIN, "I": INSIDE, "L": END, "U": SINGLE}),
        "BMEWO": Scheme({"B": BEGIN, "M": INSIDE, "E": END, "W": SINGLE}),
        "BMES": Scheme({"B": BEGIN, "M": INSIDE, "E": END, "S": SINGLE}),
    }
)
"""Name -> scheme. If the tags fit several, the first that they break nowhere is taken."""

MOST_BROKEN = 0.01
"""If the tags break every scheme that has their prefixes, the first one is taken, unless the tags
break a later one in no more than this share of its places."""
SHOWN_TAGS = 8


def prefixes_of(*roles: int) -> frozenset[str]:
    """Return the prefixes that have one of these roles in any scheme."""
    pairs = [pair for scheme in SCHEMES.values() for pair in scheme.roles.items()]
    return frozenset(prefix for prefix, role in pairs if role in roles)


PREFIXES = "".join(sorted(prefixes_of(BEGIN, INSIDE, END, SINGLE)))
"""The prefixes of all schemes."""
_TAG = re.compile(rf"([{PREFIXES}])(?:-(.+))?", re.DOTALL)
_MARKED = re.compile(rf"[A-Za-z]\s*[-_:/.|].*|.*[-_:/.|][{PREFIXES}]|\(.*|[^(]*\)", re.DOTALL)
"""A tag that seems to have a prefix or a suffix in another spelling, or brackets such as ``(GPE*``,
so it is not a type alone."""
_HAS_LETTER = re.compile(r"[^\W\d_]")
_HINTS = (
    (rf"(?:o|[{PREFIXES.lower()}](?:-.*)?)\Z", ", or write O and prefixes in upper case"),
    (r"\d+\Z", ", or give tag_names"),
    (rf"(?:{_MARKED.pattern})\Z", ", or write tags as B-TYPE and I-TYPE"),
    (rf"(?![A-Z](?:-|\Z)).*{_HAS_LETTER.pattern}", ", which is IO if tags are types alone"),
)
"""What a message adds if all tags but O match a pattern."""


class _Tag(NamedTuple):
    """A tag other than O: its prefix and its type; one of them may be empty."""

    prefix: str
    type: str


class _Source(NamedTuple):
    """A split, how often each of its tags occurs, and its tags other than O, taken apart."""

    sentences: Sentences
    counts: Mapping[str, int]
    tags: Mapping[str, _Tag]

    def numbers(self, values: Mapping[str, int], default: int) -> NDArray[np.int16]:
        """Return the value of each tag in the order of the tags' numbers."""
        names = self.sentences.tag_names
        return np.array([values.get(name, default) for name in names], dtype=np.int16)


class _Reading(NamedTuple):
    """What a scheme makes of each tag of a batch: whether it continues an entity, and whether it
    breaks the scheme."""

    is_inside: NDArray[np.bool_]
    is_broken: NDArray[np.bool_]


class _Reader:
    """Reads the batches of a split by a scheme."""

    def __init__(self, source: _Source, scheme: Scheme) -> None:
        tags = source.tags
        types = {type_: number for number, type_ in enumerate(_types(tags))}
        self._scheme = scheme
        self._roles = source.numbers(
            {
                name: scheme.roles[tag.prefix] if tag.prefix else INSIDE
                for name, tag in tags.items()
            },
            _OUTSIDE,
        ).astype(np.int8)
        self._types = source.numbers({name: types[tag.type] for name, tag in tags.items()}, -1)

    def read(self, ids: TagIds, starts: NDArray[np.int64]) -> _Reading:
        """Read the tags of a batch, whose sentences begin at ``starts``."""
        scheme, roles, types = self._scheme, self._roles[ids], self._types[ids]
        before, follows = np.empty_like(roles), np.empty(len(ids), dtype=bool)
        before[:1], before[1:] = _OUTSIDE, roles[:-1]
        follows[:1], follows[1:] = False, types[1:] == types[:-1]
        follows[starts[starts < len(ids)]] = False
        continues = (roles == INSIDE) | (roles == END)
        is_inside = continues & follows & ((before == BEGIN) | (before == INSIDE))
        is_broken = np.zeros(len(ids), dtype=bool)
        if not scheme.inside_begins:
            is_broken |= continues & ~is_inside
        if scheme.begin_separates:
            is_broken |= (roles == BEGIN) & ~follows
        if scheme.has_ends:
            is_open = (roles == BEGIN) | (roles == INSIDE)
            is_open[:-1] &= ~is_inside[1:]
            is_broken |= is_open
        return _Reading(is_inside, is_broken)


def to_iob2(sentences: Sentences, config: DataConfig, findings: Findings, split: str) -> Sentences:
    """Return the sentences of a split with valid IOB2 tags, converted without loss.

    The scheme is recognised from all tags of the split, or is ``config.scheme``. The fact
    ``scheme`` records it. Converted, repaired and untyped tags are counted. A word whose tag breaks
    the scheme stays in an entity: it continues one of its type, or else begins one.

    Raises:
        DataError: a tag fits no scheme; tags have no type and ``config.untyped_type`` is empty; a
            tag breaks its scheme and ``config.invalid_tags`` is ``error``.
    """
    counts = _count_tags(sentences)
    source = _Source(sentences, counts, _take_apart(sentences, counts, config))
    is_untyped = any(not tag.type for tag in source.tags.values())
    if is_untyped and not config.untyped_type:
        place, tag = _first(sentences, source.tags)
        raise DataError(
            f"{place}: tag {tag!r} has no type: give one by untyped_type=TYPE, "
            "or choose another tag_column"
        )
    name = _recognize(source, config)
    is_bare = any(not tag.prefix for tag in source.tags.values())
    findings.facts[split, "scheme"] = f"{name} (types alone)" if is_bare else name
    broken = _report_broken(source, name, config, findings, split)
    if name == "IOB2" and not broken and not is_untyped:
        return sentences
    if is_untyped:
        given = {name: _Tag(tag.prefix, config.untyped_type) for name, tag in source.tags.items()}
        source = source._replace(tags=given)
        findings.add("type_given", split, count=sum(counts[tag] for tag in given))
    return _convert(source, name, findings, split)


def _count_tags(sentences: Sentences) -> dict[str, int]:
    """Return how often each tag occurs, the most frequent first."""
    counts = sentences.count_tags()
    return {name: counts[name] for name in sorted(counts, key=counts.__getitem__, reverse=True)}


def _take_apart(
    sentences: Sentences, counts: Mapping[str, int], config: DataConfig
) -> dict[str, _Tag]:
    """Return the tags other than O, all with a prefix and a type, or all with one of the two."""
    names = [name for name in counts if name != OUTSIDE]
    tags = {
        name: _Tag(match[1], match[2] or "") for name in names if (match := _TAG.fullmatch(name))
    }
    if _are_types(names, tags, counts, config):
        return {name: _Tag("", name) for name in names}
    strange = set(names) - set(tags)
    if not strange and any(tag.type for tag in tags.values()):
        strange = {name for name, tag in tags.items() if not tag.type}
    if strange:
        _refuse(sentences, counts, strange, "fits no scheme")
    return tags


def _are_types(
    names: Sequence[str], tags: Mapping[str, _Tag], counts: Mapping[str, int], config: DataConfig
) -> bool:
    """Return whether the tags are types alone.

    ``scheme=IO`` makes them so unless a tag has the prefix of IO. Else no tag may have a prefix or
    seem to have one, and O must be the most frequent.
    """
    if not names or not all(map(_HAS_LETTER.search, names)):
        return False
    if config.scheme == "IO":
        return len(tags) < len(names) and not any(tag.prefix == "I" for tag in tags.values())
    return (
        config.scheme == "auto"
        and not tags
        and counts.get(OUTSIDE) == max(counts.values())
        and not any(_MARKED.fullmatch(name) for name in names)
    )


def _recognize(source: _Source, config: DataConfig) -> str:
    """Return the name of the scheme.

    IOB1 and broken IOB2 have the same prefixes, so the places that break them decide.
    """
    prefixes = {tag.prefix for tag in source.tags.values() if tag.prefix}
    if config.scheme != "auto":
        allowed = SCHEMES[config.scheme].roles
        if strange := {
            name for name, tag in source.tags.items() if tag.prefix not in {*allowed, ""}
        }:
            _refuse(
                source.sentences, source.counts, strange, f"does not fit scheme={config.scheme}"
            )
        return config.scheme
    if not prefixes:
        return "IO" if source.tags else "IOB2"
    names = [name for name, scheme in SCHEMES.items() if prefixes <= scheme.roles.keys()]
    if not names:
        _refuse_mixed(source)
    if len(names) == 1:
        return names[0]
    broken: dict[str, int] = {}
    for name in names:
        reader = _Reader(source, SCHEMES[name])
        broken[name] = sum(
            int(np.count_nonzero(reader.read(ids, starts).is_broken))
            for _, ids, starts in source.sentences.flat_tags()
        )
        if not broken[name]:
            return name
    best = min(names, key=broken.__getitem__)
    return best if broken[best] <= MOST_BROKEN * broken[names[0]] else names[0]


def _refuse_mixed(source: _Source) -> NoReturn:
    """Refuse prefixes that no scheme has together; name a tag outside the likeliest scheme."""
    outside = [
        {name for name, tag in source.tags.items() if tag.prefix not in scheme.roles}
        for scheme in SCHEMES.values()
    ]
    strange = min(outside, key=lambda names: sum(source.counts[name] for name in names))
    _refuse(source.sentences, source.counts, strange, "fits no scheme together with the others")


def _report_broken(
    source: _Source, name: str, config: DataConfig, findings: Findings, split: str
) -> int:
    """Count the tags that break the scheme, with places, or refuse them; return their number."""
    reader = _Reader(source, SCHEMES[name])
    count = 0
    places: list[tuple[str, str]] = []
    for first, ids, starts in source.sentences.flat_tags():
        positions = np.flatnonzero(reader.read(ids, starts).is_broken)
        count += len(positions)
        for position in positions[: SHOWN - len(places)]:
            place = _place(source.sentences, first, starts, int(position))
            places.append((place, source.sentences.tag_names[ids[position]]))
    if count and config.invalid_tags == "error":
        more = f" and {count - len(places)} more" if count > len(places) else ""
        listed = ", ".join(f"{place} {_shown(tag)}" for place, tag in places)
        raise DataError(
            f"{count} tags break their scheme {name}: {listed}{more}. "
            "Fix them, or choose invalid_tags=repair"
        )
    for place, tag in places:
        findings.add("tags_repaired", split, place, _shown(tag))
    findings.add("tags_repaired", split, count=count - len(places))
    return count


def _convert(source: _Source, name: str, findings: Findings, split: str) -> Sentences:
    """Return the sentences in IOB2; count the tags with another prefix, repaired ones apart."""
    types = _types(source.tags)
    names = [OUTSIDE, *(f"{prefix}-{type_}" for type_ in types for prefix in "BI")]
    numbers = {type_: 1 + 2 * number for number, type_ in enumerate(types)}
    begins = source.numbers({name: numbers[tag.type] for name, tag in source.tags.items()}, 0)
    # The prefixes of IOB2 as numbers, so that what changes is found by a comparison.
    kept = source.numbers(
        {name: {"B": 0, "I": 1}.get(tag.prefix, -1) for name, tag in source.tags.items()}, -2
    )
    reader = _Reader(source, SCHEMES[name])
    converted = 0

    def convert(ids: TagIds, starts: NDArray[np.int64]) -> TagIds:
        nonlocal converted
        reading = reader.read(ids, starts)
        before = kept[ids]
        is_changed = (before != reading.is_inside) & (before != -2) & ~reading.is_broken
        converted += int(np.count_nonzero(is_changed))
        return begins[ids] + reading.is_inside

    changed = source.sentences.map_tags(convert, names)
    if name != "IOB2":
        findings.add("scheme_converted", split, count=converted)
    return changed


def _types(tags: Mapping[str, _Tag]) -> list[str]:
    return list(dict.fromkeys(tag.type for tag in tags.values()))


def _refuse(
    sentences: Sentences, counts: Mapping[str, int], strange: Collection[str], fault: str
) -> NoReturn:
    """Refuse the first of these tags."""
    place, tag = _first(sentences, strange)
    seen = ", ".join(map(_shown, islice(counts, SHOWN_TAGS)))
    more = ", ..." if len(counts) > SHOWN_TAGS else ""
    others = [name for name in counts if name != OUTSIDE]
    hint = next((hint for pattern, hint in _HINTS if _all_match(pattern, others)), "")
    raise DataError(
        f"{place}: tag {shorten(tag)!r} {fault} (tags seen: {seen}{more}): "
        f"choose another tag_column or scheme{hint}"
    )


def _all_match(pattern: str, names: Iterable[str]) -> bool:
    return all(re.match(pattern, name, re.DOTALL) for name in names)


def _first(sentences: Sentences, names: Collection[str]) -> tuple[str, str]:
    """Return the place and the name of the first tag with one of these names."""
    is_wanted = np.array([name in names for name in sentences.tag_names], dtype=bool)
    for first, ids, starts in sentences.flat_tags():
        positions = np.flatnonzero(is_wanted[ids])
        if len(positions):
            position = int(positions[0])
            return _place(sentences, first, starts, position), sentences.tag_names[ids[position]]
    raise LookupError(names)


def _place(sentences: Sentences, first: int, starts: NDArray[np.int64], position: int) -> str:
    """Return the place of a tag, by its position in the batch that begins with this sentence."""
    row = int(np.searchsorted(starts, position, side="right")) - 1
    sentence = sentences[first + row : first + row + 1][0]  # decodes this sentence alone
    return f"{sentence.origin} word {position - int(starts[row])}"


def _shown(tag: str) -> str:
    """Return a tag for a list in a message of one line."""
    short = shorten(tag)
    return short if short and short.isprintable() else repr(short)
