"""Repeat training sentences as developers write them: marked up, run together, in any casing.

The kinds of noise and the templates are in ``noise.yaml``.
"""

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from ..data.sentences import Sentence
from ..strict_yaml import read_yaml
from ..tagging.cutting import cut
from ..tagging.iob2 import OUTSIDE, UNSURE, to_entities
from ..tagging.joining import join_words

log = logging.getLogger(__name__)

TABLE = Path(__file__).with_name("noise.yaml")
TEMPLATE_SHARE = 0.4
"""Share of the noisy sentences that are made from templates."""
ENTITY_SHARE = 0.75
"""Share of the edited sentences that are drawn from those with an entity."""
MOST_EDITS = 3
"""Edits of one sentence."""
KEPT_SURFACES = 0.5
"""Share of the slots and renamed entities that get a surface of train if there are fillers."""

Segments = list[tuple[str, str]]
"""A text in parts, each with its entity type, or "" outside of entities."""

_CHUNK = re.compile(r"\S+")
_SLOT = re.compile(r"\{(?:(?P<surface>[^{}:]+):)?(?P<type>[^{}:]*)\}")
_DIGIT = re.compile(r"\\(?P<literal>#)|#")
_CHOICE = re.compile(r"\((?P<choices>[^()]*\|[^()]*)\)")


@cache
def noise_table() -> Mapping[str, Any]:
    """Return the table of ``noise.yaml``."""
    table: Mapping[str, Any] = read_yaml(TABLE, "table of noise", "correct it").value
    return table


def noisy_sentences(
    train: Sequence[Sentence], types: Sequence[str], ratio: float, seed: int
) -> list[Sentence]:
    """Return noisy sentences, cut into pieces as running text is.

    Args:
        train: sentences to draw from; those with unsure words are not.
        types: the entity types of the dataset; templates with others are not used.
        ratio: number of noisy sentences over those in train.
        seed: chooses sentences and noise.
    """
    noise = _Noise(train, types, Random(seed))
    count = round(ratio * len(train))
    if count:
        log.info(
            "adding %d noisy sentences to the %d of train; %d of %d templates fit its types",
            count,
            len(train),
            len(noise.templates),
            len(noise_table()["templates"]),
        )
    return [noise.sentence() for _ in range(count)]


class _Noise:
    def __init__(self, train: Sequence[Sentence], types: Sequence[str], random: Random) -> None:
        table = noise_table()
        # An unsure word would become O.
        self._train = [sentence for sentence in train if UNSURE not in sentence.tags]
        self._random, self._table = random, table
        self._surfaces: dict[str, list[str]] = {type_: [] for type_ in types}
        self._with_entities = [
            sentence for sentence in self._train if any(tag != OUTSIDE for tag in sentence.tags)
        ]
        for sentence in self._with_entities:
            for entity in to_entities(sentence.tags):
                surface = join_words(sentence.tokens[entity.start : entity.end])[0]
                self._surfaces[entity.type].append(surface)
        self._proper = {
            type_: [surface for surface in surfaces if not surface.islower()]
            for type_, surfaces in self._surfaces.items()
        }
        self.templates = [
            template
            for template in table["templates"]
            if {slot["type"] for slot in _SLOT.finditer(template)} <= {"", *types}
        ]
        self._edits: dict[str, Callable[[Segments], Segments]] = {
            "rename": self._rename,
            "wrap": self._wrap,
            "join": self._join,
            "casing": self._change_casing,
            "ending": self._drop_ending,
            "opening": self._add_opening,
        }

    def sentence(self) -> Sentence:
        """Return the next noisy sentence."""
        random = self._random
        if self.templates and random.random() < TEMPLATE_SHARE:
            return to_sentence(self._fill(random.choice(self.templates)))
        sentence = random.choice(
            self._with_entities if random.random() < ENTITY_SHARE else self._train
        )
        segments = _segments(sentence)
        weights = self._table["edits"]
        for name in random.choices(
            list(weights), list(weights.values()), k=random.randint(1, MOST_EDITS)
        ):
            segments = self._edits[name](segments)
        return to_sentence(segments)

    def _fill(self, template: str) -> Segments:
        random = self._random
        while choice := _CHOICE.search(template):
            chosen = random.choice(choice["choices"].split("|"))
            template = template[: choice.start()] + chosen + template[choice.end() :]
        segments: Segments = []
        position = 0
        for slot in _SLOT.finditer(template):
            segments.append((self._digits(template[position : slot.start()]), ""))
            type_ = slot["type"]
            if type_:
                surface = slot["surface"] or self._surface(type_, self._proper)
            else:
                surface = self._invent().upper()
            segments.append((self._digits(surface), type_))
            position = slot.end()
        return [*segments, (self._digits(template[position:]), "")]

    def _digits(self, text: str) -> str:
        return _DIGIT.sub(lambda mark: mark["literal"] or str(self._random.randint(0, 9)), text)

    def _surface(self, type_: str, surfaces: Mapping[str, list[str]]) -> str:
        """Return one of the surfaces, a filler, or an invented name."""
        random = self._random
        known, fillers = surfaces[type_], self._table["fillers"].get(type_)
        if type_ in self._table["invented"] and random.random() > KEPT_SURFACES:
            return self._invent()
        if fillers and (not known or random.random() > KEPT_SURFACES):
            return self._digits(random.choice(fillers))
        return random.choice(known) if known else type_

    def _invent(self) -> str:
        random = self._random
        name = "".join(random.choices(self._table["syllables"], k=random.randint(2, 3)))
        style = random.choice(("lower", "lower", "capitalised", "capitalised", "camel", "upper"))
        if style == "capitalised":
            return name.capitalize()
        if style == "camel":
            second = "".join(random.choices(self._table["syllables"], k=1))
            return name.capitalize() + second.capitalize()
        return name[:5].upper() if style == "upper" else name

    def _rename(self, segments: Segments) -> Segments:
        renamed = {text: self._surface(type_, self._surfaces) for text, type_ in segments if type_}
        return [(renamed[text] if type_ else text, type_) for text, type_ in segments]

    def _wrap(self, segments: Segments) -> Segments:
        before, after = self._random.choice(self._table["wraps"])
        entities = [index for index, (_, type_) in enumerate(segments) if type_]
        if entities and self._random.random() < 0.8:
            index = self._random.choice(entities)
            return [
                *segments[:index],
                (before, ""),
                segments[index],
                (after, ""),
                *segments[index + 1 :],
            ]
        index = self._random.randrange(len(segments))
        text, type_ = segments[index]
        words = list(_CHUNK.finditer(text))
        if type_ or not words:
            return segments
        word = self._random.choice(words)
        wrapped = before + word.group() + after
        return [
            *segments[:index],
            (text[: word.start()] + wrapped + text[word.end() :], ""),
            *segments[index + 1 :],
        ]

    def _join(self, segments: Segments) -> Segments:
        """Put another joint between neighbouring entities, or add one to a single entity."""
        random = self._random
        for index in range(1, len(segments) - 1):
            (_, left), (between, none), (_, right) = segments[index - 1 : index + 2]
            if left and right and not none and not between.strip():
                joints = self._table["lists" if left == right else "joints"]
                return [*segments[:index], (random.choice(joints), ""), *segments[index + 1 :]]
        entities = [index for index, (_, type_) in enumerate(segments) if type_]
        if not entities:
            return segments
        index = random.choice(entities)
        type_ = segments[index][1]
        other = (self._surface(type_, self._surfaces), type_)
        return [
            *segments[: index + 1],
            (random.choice(self._table["lists"]), ""),
            other,
            *segments[index + 1 :],
        ]

    def _change_casing(self, segments: Segments) -> Segments:
        random = self._random
        change = random.choice((str.lower, str.lower, str.upper, str.capitalize))
        only_entities = change is str.capitalize or random.random() < 0.5
        return [
            (text if only_entities and not type_ else change(text), type_)
            for text, type_ in segments
        ]

    def _drop_ending(self, segments: Segments) -> Segments:
        text, type_ = segments[-1]
        return segments if type_ else [*segments[:-1], (text.rstrip(" .!?"), "")]

    def _add_opening(self, segments: Segments) -> Segments:
        return [*self._fill(self._random.choice(self._table["openings"])), *segments]


def _segments(sentence: Sentence) -> Segments:
    text, starts = join_words(sentence.tokens)
    segments: Segments = []
    position = 0
    for entity in to_entities(sentence.tags):
        start = starts[entity.start]
        end = starts[entity.end - 1] + len(sentence.tokens[entity.end - 1])
        segments += [(text[position:start], ""), (text[start:end], entity.type)]
        position = end
    return [*segments, (text[position:], "")]


def to_sentence(segments: Segments) -> Sentence:
    """Return the pieces of a text in segments, cut where its entities begin and end, with tags."""
    entities: list[tuple[int, int, str]] = []
    position = 0
    for part, type_ in segments:
        if type_ and part:
            entities.append((position, position + len(part), type_))
        position += len(part)
    text = "".join(part for part, _ in segments)
    pieces: list[str] = []
    tags: list[str] = []
    waiting = deque(entities)
    begun = False
    for start, stop in _cut_at(text, {offset for entity in entities for offset in entity[:2]}):
        while waiting and waiting[0][1] <= start:
            waiting.popleft()
            begun = False
        if waiting and waiting[0][0] <= start:
            tags.append(f"{'I' if begun else 'B'}-{waiting[0][2]}")
            begun = True
        else:
            tags.append(OUTSIDE)
        pieces.append(text[start:stop])
    return Sentence(tuple(pieces), tuple(tags), origin="noise")


def _cut_at(text: str, borders: set[int]) -> Iterator[tuple[int, int]]:
    for chunk in _CHUNK.finditer(text):
        for start, end in cut(chunk.group()):
            start, end = chunk.start() + start, chunk.start() + end
            for border in sorted(border for border in borders if start < border < end):
                yield start, border
                start = border
            yield start, end
