"""Label documents weakly, and choose the sentences that train gains."""

import hashlib
import heapq
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from math import isnan
from typing import NamedTuple

import pandas as pd

from ..config.schema import WeakConfig
from ..data.findings import Findings
from ..data.pieces import cut_sentence
from ..data.prepare import PreparedCorpus
from ..data.sentences import TEST, TRAIN, VALIDATION, Sentence, Sentences, SentencesBuilder
from ..errors import DataError
from ..tagging.iob2 import OUTSIDE, UNSURE
from .labelers import ANY_TYPE, Labeler, Votes
from .reading import CutSource, SentenceReader, read_and_cut
from .scoring import GoldSet, choose_union, score_labelers, types_below
from .union import Union

RUN_PIECES = 13
"""Pieces in a row that a weak sentence may not share with a held-out one."""
BATCH_SENTENCES = 2048
"""Sentences that are labelled at once."""


@dataclass(frozen=True)
class WeakLabels:
    """What weak supervision adds to train, and how it came about.

    Attributes:
        sentences: the chosen sentences, in the order in which they were read. Their words are
            pieces, and words that may hold an entity or not are tagged ``?``.
        versions: the version of each labeler, by name.
        scores: the table of :func:`~.scoring.score_labelers` for each gold set.
        union: the name of the way in which the labelers were combined.
        union_f1: F1 on validation of each way; empty with a single labeler.
        left_out: the types that are not precise enough, with their precision.
        removed: what cleaning removed, a row for each rule: rule, parts, characters, examples.
        skipped: the table of :class:`~.skipped.SkippedDocuments`.
        counts: how many documents were read and used, how many sentences they hold, how many of
            these were labelled, had an entity, and were added.
    """

    sentences: Sentences
    versions: dict[str, str]
    scores: pd.DataFrame
    union: str
    union_f1: dict[str, float]
    left_out: dict[str, float]
    removed: pd.DataFrame
    skipped: pd.DataFrame
    counts: dict[str, int]


class LabelerUnion:
    """Labelers and the way to combine them, fitted on gold sentences."""

    def __init__(
        self,
        labelers: Sequence[Labeler],
        types: Sequence[str],
        validation: Sequence[Sentence],
        target: Sequence[Sentence],
        least_precision: float,
    ) -> None:
        """
        Args:
            labelers: one or more.
            types: the entity types of the dataset.
            validation: gold sentences to fit and to choose the union, in words.
            target: gold sentences of the domain where the model will be used, in words; they are
                scored, and decide which of the types that they hold are left out.
            least_precision: types with less precision are left out.
        """
        self._labelers = labelers
        self._types = types
        names = [labeler.name for labeler in labelers]
        gold = self._ask("validation", validation)
        self.union: Union | None = None
        self.union_f1: dict[str, float] = {}
        spans: Sequence[Votes] = gold.votes[0]
        if len(labelers) > 1:
            chosen = choose_union(gold, types)
            self.union, self.union_f1, spans = chosen.union, dict(chosen.f1), chosen.spans
        optimistic = [labeler.name for labeler in labelers if labeler.saw_validation]
        tables = [score_labelers(gold, names, spans, types, optimistic)]
        if target:
            gold = self._ask("target", target)
            tables.append(score_labelers(gold, names, self._combine(gold), types))
        self.scores = pd.concat(tables, ignore_index=True)
        self.left_out = types_below(tables, types, least_precision)

    @property
    def name(self) -> str:
        """The name of the way to combine, or of the single labeler."""
        return self.union.name if self.union else self._labelers[0].name

    def label(self, sentences: Sequence[Sentence], keep_unsure: bool) -> list[Sentence]:
        """Return the sentences with tags.

        Args:
            sentences: their words are pieces.
            keep_unsure: words that may hold an entity or not are ``?``; else they are ``O``.
        """
        alone = _apart(sentences)
        votes = [labeler.label(alone) for labeler in self._labelers]
        spans = self._combine(GoldSet("", sentences, votes))
        unsure = UNSURE if keep_unsure else OUTSIDE
        labelled = []
        for sentence, of_sentence in zip(sentences, spans, strict=True):
            tags = [OUTSIDE] * len(sentence.tokens)
            for span in of_sentence:
                length = span.end - span.start
                if span.type == ANY_TYPE or span.type in self.left_out:
                    tags[span.start : span.end] = [unsure] * length
                else:
                    tags[span.start : span.end] = [
                        f"B-{span.type}",
                        *[f"I-{span.type}"] * (length - 1),
                    ]
            labelled.append(replace(sentence, tags=tuple(tags)))
        return labelled

    def _ask(self, name: str, sentences: Sequence[Sentence]) -> GoldSet:
        pieces = [cut_sentence(sentence) for sentence in sentences]
        alone = _apart(pieces)
        return GoldSet(name, pieces, [labeler.label(alone) for labeler in self._labelers])

    def _combine(self, gold: GoldSet) -> list[Votes]:
        if self.union is None:
            return list(gold.votes[0])
        return self.union.combine(gold.votes, gold.lengths)


def _apart(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Return the sentences with a document each: teachers see only some of their neighbours."""
    return [replace(sentence, document=str(row)) for row, sentence in enumerate(sentences)]


def augment(
    corpus: PreparedCorpus,
    types: Sequence[str],
    config: WeakConfig,
    labelers: Sequence[Labeler],
    target: Sequence[Sentence],
    findings: Findings,
    cut_source: CutSource = read_and_cut,
) -> WeakLabels:
    """Label documents, and return the sentences to add to train.

    Of the sentences with an entity, ``weak.ratio`` times as many as train has are chosen, by the
    hash of their words and the seed. So the order in which sentences come does not change the
    choice, and most of them need not be labelled.

    Args:
        corpus: the prepared splits; train sentences count for the ratio, and sentences of any split
            are not added again.
        types: the entity types.
        config: the settings.
        labelers: one or more.
        target: the sentences of ``weak.gold``, in words; empty: none.
        findings: receives what was left out.
        cut_source: reads and cuts documents, here or elsewhere.

    Raises:
        DataError: the documents cannot be read, or no sentence with an entity is found.
    """
    union = LabelerUnion(labelers, types, corpus[VALIDATION], target, config.min_precision)
    for type_, value in union.left_out.items():
        reason = "never found in gold" if isnan(value) else f"precision {value:.3f}"
        findings.add("weak_type_left_out", TRAIN, type_, reason)
    known = _KnownTexts(corpus[TRAIN], [*corpus[VALIDATION], *corpus[TEST], *target])
    reader = SentenceReader(config, findings, cut_source)
    wanted = round(config.ratio * len(corpus[TRAIN]))
    if not wanted:
        raise DataError(
            f"weak_ratio {config.ratio}: of {len(corpus[TRAIN])} train sentences that is less than "
            "one sentence: give a larger ratio"
        )
    chosen = _Smallest(wanted)
    counts = {"labelled": 0, "with_entity": 0}

    def eligible() -> Iterator[tuple[int, Sentence]]:
        for sentence in reader.sentences():
            rank = _rank(sentence, config.seed)
            if not chosen.takes(rank):
                continue
            if sentence.tokens in known:
                findings.add("weak_sentence_known", TRAIN, sentence.origin)
            else:
                yield rank, sentence

    # An error must end the reading before it ends what reads, such as a cluster's session.
    with closing(_batches(eligible(), BATCH_SENTENCES)) as batches:
        for batch in batches:
            labelled = union.label([sentence for _, sentence in batch], config.unsure == "mask")
            counts["labelled"] += len(labelled)
            for (rank, _), sentence in zip(batch, labelled, strict=True):
                if any(tag not in (OUTSIDE, UNSURE) for tag in sentence.tags):
                    counts["with_entity"] += 1
                    chosen.add(rank, sentence)
    if not counts["with_entity"]:
        raise DataError(
            f"weak_source {config.source!r}: no sentence with an entity among "
            f"{reader.counts['sentences']:,} sentences of {reader.counts['documents']:,} "
            "documents: check the texts, the labelers and weak_min_precision"
        )
    sentences = chosen.in_order()
    if len(sentences) < wanted:
        findings.add(
            "weak_sentences_missing",
            TRAIN,
            detail=f"{len(sentences):,} of {wanted:,}",
            count=wanted - len(sentences),
        )
    findings.add("weak_added", TRAIN, count=len(sentences))
    builder = SentencesBuilder()
    for sentence in sentences:
        builder.append_sentence(sentence)
    return WeakLabels(
        builder.finish(),
        {labeler.name: labeler.version for labeler in labelers},
        union.scores,
        union.name,
        union.union_f1,
        union.left_out,
        reader.removed(),
        reader.skipped.table(),
        {**reader.counts, **counts, "added": len(sentences)},
    )


class _KnownTexts:
    """The sentences of the gold corpora, which must not be added.

    Held-out texts may be cut into other sentences than weak ones. So a weak sentence is known too
    if it shares :data:`RUN_PIECES` pieces in a row with a held-out one.
    """

    def __init__(self, train: Sequence[Sentence], held_out: Sequence[Sentence]) -> None:
        pieces = [cut_sentence(sentence).tokens for sentence in held_out]
        self._sentences = {*pieces, *(cut_sentence(sentence).tokens for sentence in train)}
        self._runs = {run for tokens in pieces for run in _runs(tokens)}

    def __contains__(self, tokens: tuple[str, ...]) -> bool:
        return tokens in self._sentences or any(run in self._runs for run in _runs(tokens))


def _runs(tokens: Sequence[str]) -> Iterator[int]:
    """Yield the hash of each run of pieces."""
    for start in range(len(tokens) - RUN_PIECES + 1):
        yield hash(tuple(tokens[start : start + RUN_PIECES]))


class _Ranked(NamedTuple):
    """A sentence in a heap whose first item has the largest rank."""

    negative_rank: int
    number: int
    sentence: Sentence


class _Smallest:
    """Keeps the sentences with the smallest ranks, each words once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[_Ranked] = []
        self._ranks: set[int] = set()
        self._seen = 0

    def takes(self, rank: int) -> bool:
        """Return whether a sentence of this rank would be kept now."""
        is_small = len(self._heap) < self._size or -rank > self._heap[0].negative_rank
        return is_small and rank not in self._ranks

    def add(self, rank: int, sentence: Sentence) -> None:
        self._seen += 1
        if not self.takes(rank):
            return
        item = _Ranked(-rank, self._seen, sentence)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, item)
        else:
            out = heapq.heapreplace(self._heap, item)
            self._ranks.remove(-out.negative_rank)
        self._ranks.add(rank)

    def in_order(self) -> list[Sentence]:
        return [item.sentence for item in sorted(self._heap, key=lambda item: item.number)]


def _rank(sentence: Sentence, seed: int) -> int:
    """Return a number that depends on the words and the seed alone."""
    content = "\0".join((str(seed), *sentence.tokens)).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def _batches(
    sentences: Iterator[tuple[int, Sentence]], size: int
) -> Generator[list[tuple[int, Sentence]]]:
    rows = iter(sentences)
    while batch := list(islice(rows, size)):
        yield batch
