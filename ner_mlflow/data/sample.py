"""Generate a small synthetic corpus of IT text from ``sample_tables.yaml`` and a seed.

It serves tests and first steps that must not depend on a download. It is not a benchmark: scores on
it show that the pipeline works, not how good a model is on real tickets. Even so, the splits do not
leak: they share no template, a third of the entity surfaces never occurs in train, and no sentence
occurs twice.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from ..errors import DataError
from ..redaction import one_line
from ..tagging.iob2 import Entity, to_tags
from .sentences import SPLITS, TEST, TRAIN, VALIDATION, Corpus, Sentence

TABLES = Path(__file__).parent / "sample_tables.yaml"
SIZES = {TRAIN: 600, VALIDATION: 150, TEST: 200}
"""Number of sentences of each split."""
TEMPLATE_SHARES = {VALIDATION: 0.16, TEST: 0.20}
"""Share of each kind of template that a split gets; train gets the rest."""
HELD_OUT_SHARE = 1 / 3
"""Share of the entity surfaces of each gazetteer group that train never shows."""
HELD_OUT_RATE = 0.5
"""Share of the mentions outside train that are drawn from the held-out surfaces."""
LOWER_RATE, UPPER_RATE = 0.05, 0.03
"""Shares of the mentions that are written in lower case and in upper case."""
SURFACES_PER_PATTERN = 40
"""Number of surfaces drawn from a gazetteer entry with numbers; duplicates are dropped."""
ATTEMPTS = 50
"""Draws before a sentence repeats a value, or a template counts as used up."""

ARTICLE = "a"
_SLOT = re.compile(r"\{([^{}]*)\}")
_RAREST_FIRST = ("HARDWARE", "OS", "VERSION", "ERROR", "SOFTWARE")


@dataclass(frozen=True)
class Template:
    """The words of a sentence, some of them slots; see the head of ``sample_tables.yaml``.

    ``hard_negative`` marks a template about words that look like entities and are not.
    """

    text: str
    hard_negative: bool = False

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Return the words of the template, slots included."""
        return tuple(self.text.split(" "))

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """Return the names of the slots, in order."""
        return tuple(_SLOT.findall(self.text))

    @property
    def kind(self) -> str:
        """Return ``hard negative``, the rarest entity type, or "" without any entity."""
        types = {slot.partition(":")[0] for slot in self.slots}
        return (
            "hard negative"
            if self.hard_negative
            else next((type_ for type_ in _RAREST_FIRST if type_ in types), "")
        )


@dataclass(frozen=True)
class Tables:
    """The contents of ``sample_tables.yaml``.

    ``numbers`` are closed ranges; ``gazetteers`` are indexed by type, then by group.
    """

    numbers: Mapping[str, tuple[int, int]]
    gazetteers: Mapping[str, Mapping[str, Sequence[str]]]
    fillers: Mapping[str, Sequence[str]]
    articles: Mapping[str, Sequence[str]]
    templates: Sequence[Template]

    @cached_property
    def slots(self) -> frozenset[str]:
        """Return every slot that a template may name."""
        groups = (
            f"{type_}:{group}" for type_, groups in self.gazetteers.items() for group in groups
        )
        return frozenset((ARTICLE, *self.gazetteers, *groups, *self.fillers))


@dataclass(frozen=True)
class Lexicon:
    """Entity surfaces by slot (``TYPE`` or ``TYPE:group``).

    ``seen`` serves every split, ``held_out`` all but train.
    """

    seen: Mapping[str, Sequence[str]]
    held_out: Mapping[str, Sequence[str]]


def load_tables(path: Path = TABLES) -> Tables:
    """Read and check the tables.

    Raises:
        DataError: the file does not hold such tables, or a template or entry is listed twice or
            names an unknown slot.
    """
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        tables = Tables(
            numbers={name: (int(low), int(high)) for name, (low, high) in raw["numbers"].items()},
            gazetteers=raw["gazetteers"],
            fillers=raw["fillers"],
            articles=raw["articles"],
            templates=(
                *(Template(text) for style in raw["templates"].values() for text in style),
                *(Template(text, hard_negative=True) for text in raw["hard_negatives"]),
            ),
        )
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not a table of the sample corpus ({one_line(error)}): "
            "see sample_tables.yaml for the sections"
        ) from error
    _check_templates(tables, path)
    _check_entries(tables, path)
    return tables


def _check_templates(tables: Tables, path: Path) -> None:
    texts: set[str] = set()
    for template in tables.templates:
        if template.text in texts:
            raise DataError(
                f"{path}: template {template.text!r} is listed twice: "
                "remove one, or two splits could share it"
            )
        texts.add(template.text)
        for word in template.words:
            slot = _SLOT.fullmatch(word)
            if slot and slot[1] not in tables.slots:
                raise DataError(
                    f"{path}: template {template.text!r}: unknown slot {word}: "
                    f"add {slot[1]!r} to gazetteers or fillers"
                )
            if not slot and (not word or "{" in word or "}" in word):
                raise DataError(
                    f"{path}: template {template.text!r}: {word!r} is no word: "
                    "put single spaces around words and slots"
                )


def _check_entries(tables: Tables, path: Path) -> None:
    entries = [
        entry
        for groups in tables.gazetteers.values()
        for group in groups.values()
        for entry in group
    ]
    folded: set[str] = set()
    for entry in entries:
        if entry.casefold() in folded:
            raise DataError(
                f"{path}: gazetteer entry {entry!r} is listed twice: "
                "remove one, or training could see a held-out surface"
            )
        folded.add(entry.casefold())
    for pattern in (
        *entries,
        *(pattern for patterns in tables.fillers.values() for pattern in patterns),
    ):
        for name in _SLOT.findall(pattern):
            if name not in tables.numbers:
                raise DataError(
                    f"{path}: entry {pattern!r}: unknown slot {{{name}}}: add {name!r} to numbers"
                )


def split_templates(templates: Sequence[Template], seed: int) -> dict[str, list[Template]]:
    """Distribute the templates of each kind among the splits by :data:`TEMPLATE_SHARES`.

    Raises:
        DataError: a kind has fewer templates than there are splits.
    """
    rng = random.Random(f"{seed}:templates")
    kinds: dict[str, list[Template]] = {}
    for template in templates:
        kinds.setdefault(template.kind, []).append(template)
    shared: dict[str, list[Template]] = {split: [] for split in SPLITS}
    for kind, members in sorted(kinds.items()):
        if len(members) < len(SPLITS):
            raise DataError(
                f"template {members[0].text!r}: only {len(members)} of its kind {kind!r}: "
                f"write at least {len(SPLITS)}"
            )
        rng.shuffle(members)
        start = 0
        for split, share in TEMPLATE_SHARES.items():
            end = start + max(1, round(share * len(members)))
            shared[split] += members[start:end]
            start = end
        shared[TRAIN] += members[start:]
    return shared


def split_gazetteers(tables: Tables, seed: int) -> Lexicon:
    """Hold :data:`HELD_OUT_SHARE` of the surfaces of each gazetteer group out of train."""
    rng = random.Random(f"{seed}:gazetteers")
    seen: dict[str, list[str]] = {}
    held_out: dict[str, list[str]] = {}
    for type_, groups in tables.gazetteers.items():
        used: set[str] = set()
        for group, entries in groups.items():
            surfaces = _surfaces(entries, tables.numbers, used, rng)
            rng.shuffle(surfaces)
            count = round(HELD_OUT_SHARE * len(surfaces))
            for pool, part in ((held_out, surfaces[:count]), (seen, surfaces[count:])):
                pool[f"{type_}:{group}"] = part
                pool.setdefault(type_, []).extend(part)
    return Lexicon(seen, held_out)


def _surfaces(
    entries: Sequence[str],
    numbers: Mapping[str, tuple[int, int]],
    used: set[str],
    rng: random.Random,
) -> list[str]:
    """Expand the entries of a group into surfaces that ``used`` lacks, and add them to it."""
    surfaces = []
    for entry in entries:
        for _ in range(SURFACES_PER_PATTERN if _SLOT.search(entry) else 1):
            surface = _expand(entry, numbers, rng)
            if surface not in used:
                used.add(surface)
                surfaces.append(surface)
    return surfaces


def _expand(pattern: str, numbers: Mapping[str, tuple[int, int]], rng: random.Random) -> str:
    return _SLOT.sub(lambda slot: str(rng.randint(*numbers[slot[1]])), pattern)


@dataclass(frozen=True)
class _Writer:
    """A writer that fills the templates of one split."""

    tables: Tables
    lexicon: Lexicon
    held_out_rate: float
    rng: random.Random

    def fill(self, template: Template) -> Sentence:
        words: list[str] = []
        entities: list[Entity] = []
        used: set[str] = set()
        for word in template.words:
            slot = _SLOT.fullmatch(word)
            if slot is None or slot[1] == ARTICLE:
                words.append(word)
                continue
            value = self._draw(slot[1], used)
            type_ = slot[1].partition(":")[0]
            if type_ in self.tables.gazetteers:
                value = self._recase(value)
                entities.append(Entity(len(words), len(words) + len(value.split(" ")), type_))
            words += value.split(" ")
        return Sentence(tuple(self._articles(words)), tuple(to_tags(entities, len(words))))

    def _draw(self, slot: str, used: set[str]) -> str:
        for _ in range(ATTEMPTS):
            value = self._pick(slot)
            if value not in used:
                break
        used.add(value)
        return value

    def _pick(self, slot: str) -> str:
        if slot in self.tables.fillers:
            return _expand(
                self.rng.choice(self.tables.fillers[slot]), self.tables.numbers, self.rng
            )
        held_out = self.lexicon.held_out[slot]
        if held_out and self.rng.random() < self.held_out_rate:
            return self.rng.choice(held_out)
        return self.rng.choice(self.lexicon.seen[slot])

    def _recase(self, surface: str) -> str:
        draw = self.rng.random()
        if draw < LOWER_RATE:
            return surface.lower()
        return surface.upper() if draw < LOWER_RATE + UPPER_RATE else surface

    def _articles(self, words: list[str]) -> list[str]:
        article = f"{{{ARTICLE}}}"
        return [
            self._article(following) if word == article else word
            for word, following in zip(words, [*words[1:], ""], strict=True)
        ]

    def _article(self, following: str) -> str:
        word = following.casefold()
        vowel = word[:1] in "aeiou" and word not in self.tables.articles["a"]
        return "an" if vowel or word in self.tables.articles["an"] else "a"


def _sentences(
    writer: _Writer, templates: Sequence[Template], written: set[tuple[str, ...]]
) -> Iterator[Sentence]:
    """Yield new sentences without end, from the templates in turn.

    Args:
        writer: fills the templates.
        templates: the templates of the split.
        written: words of all earlier sentences, casing ignored; updated.

    Raises:
        DataError: no template gives a new sentence.
    """
    while True:
        before = len(written)
        for template in writer.rng.sample(templates, len(templates)):
            for _ in range(ATTEMPTS):
                sentence = writer.fill(template)
                key = tuple(token.casefold() for token in sentence.tokens)
                if key not in written:
                    written.add(key)
                    yield sentence
                    break
        if len(written) == before:
            raise DataError(
                f"the {len(templates)} templates of a split are used up: "
                "add templates or slots to sample_tables.yaml"
            )


def generate_sample(seed: int) -> Corpus:
    """Generate the sample corpus of a seed, with :data:`SIZES` sentences in each split.

    The corpus is the same on every platform and in every process.

    Raises:
        DataError: the tables are broken; see :func:`load_tables`.
    """
    tables = load_tables()
    templates = split_templates(tables.templates, seed)
    lexicon = split_gazetteers(tables, seed)
    written: set[tuple[str, ...]] = set()
    corpus: dict[str, list[Sentence]] = {}
    for split, size in SIZES.items():
        writer = _Writer(
            tables,
            lexicon,
            0.0 if split == TRAIN else HELD_OUT_RATE,
            random.Random(f"{seed}:{split}"),
        )
        sentences = islice(_sentences(writer, templates[split], written), size)
        corpus[split] = [
            Sentence(s.tokens, s.tags, origin=f"sample:{split}:{i}")
            for i, s in enumerate(sentences)
        ]
    return corpus
