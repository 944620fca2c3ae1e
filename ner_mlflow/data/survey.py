"""Survey the sentences of a split: counts, examples of types, and sentences worth showing."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from random import Random

from ..tagging.iob2 import OUTSIDE, to_entities
from .highlights import Part, split_parts
from .sentences import SPLITS, TEST, TRAIN, VALIDATION, Sentence

EXAMPLES = 5
"""Examples of a type in a split."""
MOST_EXAMPLES = 10_000
"""Different examples of a type that are counted in a split; later ones are ignored."""
SHOWN_SENTENCES = {TRAIN: 10, VALIDATION: 5, TEST: 5}
"""Sentences to show of each split; a type that they all lack adds one."""
CANDIDATES = 12
"""Sentences of each type that may be shown."""
LONG_SENTENCE = 60
"""Words. A longer sentence is shown only where no other holds a type."""


class Survey:
    """What one pass over the sentences of a split counts and remembers.

    Attributes:
        sentences: the number of sentences.
        words: the number of words.
        types: entities by type.
        candidates: by type, the numbers of sentences that hold it, drawn at random.
    """

    def __init__(self, sentences: Iterable[Sentence], seed: int) -> None:
        """
        Args:
            sentences: the sentences, in valid IOB2.
            seed: the seed of the candidates.
        """
        self.sentences = 0
        self.words = 0
        self.types: Counter[str] = Counter()
        self.candidates: dict[str, list[int]] = {}
        self._random = Random(seed)
        self._surfaces: dict[str, Counter[str]] = {}
        self._documents: set[str] = set()
        self._holders: Counter[str] = Counter()
        for row, sentence in enumerate(sentences):
            self._add(row, sentence)

    @property
    def documents(self) -> int:
        """The number of documents that the source names."""
        return len(self._documents)

    def examples(self, type_: str) -> tuple[str, ...]:
        """Return the most frequent texts of a type; texts of equal frequency in their order."""
        surfaces = self._surfaces.get(type_, Counter())
        return tuple(surface for surface, _ in surfaces.most_common(EXAMPLES))

    def _add(self, row: int, sentence: Sentence) -> None:
        self.sentences += 1
        self.words += len(sentence.tokens)
        if sentence.document is not None:
            self._documents.add(sentence.document)
        entities = to_entities(sentence.tags)
        for entity in entities:
            self.types[entity.type] += 1
            surfaces = self._surfaces.setdefault(entity.type, Counter())
            surface = _surface(sentence, entity.start, entity.end)
            if surface in surfaces or len(surfaces) < MOST_EXAMPLES:
                surfaces[surface] += 1
        is_long = len(sentence.tokens) > LONG_SENTENCE
        for type_ in dict.fromkeys(entity.type for entity in entities):
            self._offer(type_, row, is_long)

    def _offer(self, type_: str, row: int, is_long: bool) -> None:
        """Keep each short sentence of a type with the same probability, a long one if it must."""
        candidates = self.candidates.setdefault(type_, [])
        if is_long and candidates:
            return
        self._holders[type_] += 1
        if len(candidates) < CANDIDATES:
            candidates.append(row)
        elif (position := self._random.randrange(self._holders[type_])) < CANDIDATES:
            candidates[position] = row


@dataclass(frozen=True)
class ShownSentence:
    """A sentence to show: its split, its place in the source, and its entities and words."""

    split: str
    origin: str
    parts: Sequence[Part]


def choose_sentences(
    corpus: Mapping[str, Sequence[Sentence]], surveys: Mapping[str, Survey], seed: int
) -> tuple[ShownSentence, ...]:
    """Return sentences of each split that together show every type.

    Args:
        corpus: the sentences by split.
        surveys: the survey of each split.
        seed: the seed of the choice.

    Returns:
        As many of each split as :data:`SHOWN_SENTENCES` has, in the order of the corpus. The first
        split stands in for those that the corpus lacks.
    """
    quotas = _quotas(surveys)
    counts: Counter[str] = Counter()
    for survey in surveys.values():
        counts.update(survey.types)
    missing = dict.fromkeys(sorted(counts, key=lambda type_: (counts[type_], type_)))
    chosen: dict[str, dict[int, None]] = {split: {} for split in quotas}

    def choose(split: str, row: int) -> None:
        chosen[split][row] = None
        for tag in corpus[split][row].tags:
            if tag != OUTSIDE:
                missing.pop(tag[2:], None)

    for split, quota in quotas.items():
        random = Random(f"{seed}:{split}")
        candidates = surveys[split].candidates
        for type_ in list(missing):  # the rarest types first
            if type_ in missing and type_ in candidates and len(chosen[split]) < quota:
                choose(split, random.choice(candidates[type_]))
        pool = sorted(set(chain.from_iterable(candidates.values())))
        random.shuffle(pool)
        others = range(min(quota, surveys[split].sentences))
        fill = [row for row in dict.fromkeys([*pool, *others]) if row not in chosen[split]]
        for row in islice(fill, max(0, quota - len(chosen[split]))):
            choose(split, row)
    for type_ in list(missing):
        if type_ in missing:
            split = next(split for split in quotas if type_ in surveys[split].candidates)
            choose(split, surveys[split].candidates[type_][0])
    return tuple(_show(corpus, chosen))


def _quotas(surveys: Mapping[str, Survey]) -> dict[str, int]:
    splits = [split for split in SPLITS if split in surveys and surveys[split].sentences]
    quotas = {split: SHOWN_SENTENCES[split] for split in splits}
    if splits:
        quotas[splits[0]] += sum(SHOWN_SENTENCES.values()) - sum(quotas.values())
    return quotas


def _show(
    corpus: Mapping[str, Sequence[Sentence]], chosen: Mapping[str, Iterable[int]]
) -> Iterator[ShownSentence]:
    for split, rows in chosen.items():
        for row in sorted(rows):
            sentence = corpus[split][row]
            parts = split_parts(sentence.tokens, sentence.tags)
            yield ShownSentence(split, sentence.origin, parts)


def _surface(sentence: Sentence, start: int, end: int) -> str:
    """Return the text of the words from ``start`` up to ``end``, which is excluded."""
    if sentence.text is None or sentence.starts is None:
        return " ".join(sentence.tokens[start:end])
    last = sentence.starts[end - 1] + len(sentence.tokens[end - 1])
    return sentence.text[sentence.starts[start] : last]
