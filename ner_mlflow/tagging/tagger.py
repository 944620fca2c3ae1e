"""Tag sentences: words or pieces in, valid IOB2 tags and their probabilities out.

A function passed by the caller computes the logits, so PyTorch and ONNX Runtime share all the rest.
"""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import ClassVar, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ..errors import DataError, ModelError
from .cutting import to_pieces
from .decoding import Iob2Decoder, Transitions, by_sentence, log_softmax
from .encoding import Inputs, Window, WordEncoder, batches, collate, distinct_batches, merge
from .iob2 import OUTSIDE, Entity, split_tag, to_entities, to_tags
from .passages import passage_pieces, passages
from .pending import Pending
from .policies import Policy

Forward = Callable[[Inputs], NDArray[np.float32]]
"""A function from inputs of shape (batch, length) to logits of shape (batch, length, labels)."""
ALL = slice(None)
Scores = list[NDArray[np.float32]]
"""The scores of the labels by sentence or window, each of shape (pieces, labels)."""
MOST = 1_000_000
"""Numbers of a spec are below it."""
MAX_BYTES = 16_777_216
"""Largest spec; that of a conditional random field with 500 labels has 5 MB."""
CODE_SUFFIXES = frozenset(
    (
        *(".bin", ".ckpt", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"),
        *(".dll", ".dylib", ".py", ".pyc", ".so"),
    )
)
"""Ends of names of files that may run code when they are loaded; a model here needs none."""


@dataclass(frozen=True)
class TaggerSpec:
    """Everything beside its weights that tagging with a model needs; saved as ``ner_model.json``.

    Attributes:
        labels: ``labels[i]`` is the tag with id ``i``.
        max_length: longest window in subwords.
        pad_id: input id that fills shorter rows of a batch.
        backbone: name or path of the pretrained encoder.
        backbone_revision: git revision of the backbone on the hub.
        base_sha256: SHA-256 (hex) of the backbone's weights file.
        adaptation: how the backbone was adapted, ``full`` or ``lora``.
        kept_layers: numbers of the backbone's layers that the model has; empty: all.
        casing_embeddings: whether the model also sees the casing of words.
        context_subwords: subwords of the sentences before, and of those after, that the model sees.
        passage_sentences: neighbouring sentences that the model reads and tags at once.
        transitions: scores of the model's conditional random field, if it has one.
        thresholds: by type, the least confidence of an entity, from 0 to 1; an entity below it is
            no answer.
        region_policies: by kind of :data:`~.regions.KINDS`, what becomes of entities in such parts
            of a text.
        error_types: the types that the policy ``errors_only`` lets through.
    """

    labels: tuple[str, ...]
    max_length: int
    pad_id: int
    backbone: str
    backbone_revision: str
    base_sha256: str
    adaptation: str
    kept_layers: tuple[int, ...] = ()
    casing_embeddings: bool = False
    context_subwords: int = 0
    passage_sentences: int = 1
    transitions: Transitions | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    region_policies: Mapping[str, Policy] = field(default_factory=dict)
    error_types: tuple[str, ...] = ()

    FILE: ClassVar[str] = "ner_model.json"
    FORMAT: ClassVar[int] = 3

    @property
    def types(self) -> tuple[str, ...]:
        """Return the entity types, in label order."""
        return tuple(dict.fromkeys(type_ for _, type_ in map(split_tag, self.labels) if type_))

    def encoder(self, tokenizer: Tokenizer) -> WordEncoder:
        """Return a new encoder that makes this model's inputs."""
        return WordEncoder(
            tokenizer, self.max_length, self.casing_embeddings, self.context_subwords
        )

    def save(self, folder: Path) -> None:
        """Write the spec into an existing folder."""
        (folder / self.FILE).write_text(
            json.dumps({"format": self.FORMAT, **asdict(self)}, indent=2) + "\n", encoding="utf-8"
        )

    @classmethod
    def load(cls, folder: Path) -> "TaggerSpec":
        """Read the spec from a model's folder.

        Raises:
            ModelError: the file is missing, too large, broken or of another format, or the folder
                holds a pickle or code.
        """
        path = folder / cls.FILE
        if not path.is_file():
            raise ModelError(
                f"{folder}: no {cls.FILE}, so not a model of this platform: "
                "give a train or export run, or a model it logged"
            )
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in CODE_SUFFIXES:
                raise ModelError(
                    f"{file}: may hold a pickle or code, which is never run: remove it, or give "
                    "another model"
                )
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(
                f"{path}: has {path.stat().st_size:,} bytes, and {MAX_BYTES:,} at most are read: "
                "give another model"
            )
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format") != cls.FORMAT:
                raise ValueError
            if transitions := values.get("transitions"):
                values["transitions"] = Transitions(
                    tuple(transitions["starts"]), tuple(map(tuple, transitions["steps"]))
                )
            for name in ("labels", "error_types"):
                values[name] = tuple(values[name])
            values["kept_layers"] = tuple(values.get("kept_layers", ()))
            return cls(**values)._checked()
        except (
            *(ValueError, TypeError, KeyError, AttributeError),
            *(IndexError, OverflowError, RecursionError, DataError),
        ) as error:
            raise ModelError(
                f"{path}: broken or written in another format, this version reads {cls.FORMAT}: "
                "train the model again"
            ) from error

    def _checked(self) -> Self:
        """Return the spec itself if every value is of its type and within its bounds.

        Raises:
            TypeError: a value is of another type.
            ValueError: a value is out of bounds.
            DataError: a label is no tag.
        """
        for label in self.labels:
            split_tag(label)
        texts = (self.backbone, self.backbone_revision, self.base_sha256, self.adaptation)
        numbers = (
            *(self.max_length, self.pad_id, self.context_subwords, self.passage_sentences),
            *self.kept_layers,
        )
        names = (*self.error_types, *self.thresholds, *self.region_policies)
        if not all(isinstance(text, str) for text in (*texts, *names)):
            raise TypeError
        if not all(type(number) is int and 0 <= number < MOST for number in numbers):
            raise ValueError
        if self.labels[0] != OUTSIDE or len(set(self.labels)) < len(self.labels):
            raise ValueError
        if not set(self.region_policies.values()) <= set(get_args(Policy)):
            raise ValueError
        if crf := self.transitions:
            scores = np.array((crf.starts, *crf.steps), np.float64)
            if scores.shape != (len(self.labels) + 1, len(self.labels)):
                raise ValueError
        if not all(0 <= float(least) <= 1 for least in self.thresholds.values()):
            raise ValueError
        return self


@dataclass(frozen=True, slots=True)
class Tagged:
    """The predicted tags of a sentence and the model's probability of each, shape (words,)."""

    tags: list[str]
    probabilities: NDArray[np.float32]

    def confidence(self, entity: Entity) -> np.float32:
        """Return the mean probability of an entity's tags."""
        probabilities = self.probabilities[entity.start : entity.end]
        mean: np.float32 = probabilities[0] if len(probabilities) == 1 else probabilities.mean()
        return mean


class BatchExecutor(Protocol):
    """Workers that compute the logits of several batches at the same time."""

    workers: int

    def submit(self, work: Callable[[Forward], Scores]) -> Future[Scores]:
        """Start ``work`` on a worker, which passes it the worker's own forward function."""


class Tagger:
    """A model that tags sentences of any length, in batches of similar length."""

    def __init__(
        self,
        forward: Forward,
        tokenizer: Tokenizer,
        spec: TaggerSpec,
        batch_subwords: int = 4096,
        executor: BatchExecutor | None = None,
        encoder: WordEncoder | None = None,
    ) -> None:
        """
        Args:
            forward: computes the logits of a batch.
            tokenizer: the model's tokenizer.
            spec: the model's spec.
            batch_subwords: largest number of padded subwords in one forward call; bounds its
                memory.
            executor: computes several batches at the same time if there are at least as many as
                it has workers. None: one batch after the other.
            encoder: the model's encoder; None: a new one.
        """
        self._forward = forward
        self._encoder = encoder or spec.encoder(tokenizer)
        self._decoder = Iob2Decoder(spec.labels, spec.transitions)
        self._batch_subwords = batch_subwords
        self._executor = executor
        self.spec = spec
        self.labels = spec.labels
        self._outside = spec.labels.index(OUTSIDE)

    def log_probabilities(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> Scores:
        """Return the log-probabilities of the labels for each sentence, shape (pieces, labels).

        Args:
            sentences: their pieces, as :func:`~.cutting.to_pieces` returns them.
            documents: the document of each sentence, for models that see neighbouring sentences.
                None: all belong to one document.
        """
        scores = self._begin_scores(sentences, documents)()
        return (
            [self._decoder.log_marginals(values) for values in scores]
            if self.spec.transitions
            else scores
        )

    def tag(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> list[Tagged]:
        """Return the most probable valid tags of the words of each sentence.

        The model tags the pieces of the words. An entity that covers a part of a word covers the
        whole word; of two in one word, that of more words and then of more pieces stays.

        Args:
            sentences: their words.
            documents: as in :meth:`log_probabilities`.
        """
        cut = [to_pieces(sentence) for sentence in sentences]
        tagged = self.begin([pieces for pieces, _ in cut], documents).result()
        return [
            of_pieces if len(owners) == len(words) else _join(of_pieces, owners, len(words))
            for of_pieces, (_, owners), words in zip(tagged, cut, sentences, strict=True)
        ]

    def begin(
        self,
        sentences: Sequence[Sequence[str]],
        documents: Sequence[Hashable] | None = None,
        wanted: slice = ALL,
    ) -> Pending[list[Tagged]]:
        """Start to tag pieces and return before workers have finished.

        Meanwhile the caller can prepare the next sentences. Batches that are too few for the
        workers are computed here, so their errors are raised here; an error on a worker is raised
        by ``result()``.

        Args:
            sentences: as in :meth:`log_probabilities`.
            documents: as in :meth:`log_probabilities`.
            wanted: the sentences to tag, without a step; the others are seen only as their context.
        """
        finish = self._begin_scores(sentences, documents, wanted)
        return Pending(lambda: self._decode(finish()))

    def entities(self, pieces: Sequence[str]) -> list[tuple[Entity, np.float32]]:
        """Return the entities of a sentence without neighbours, and the confidence of each.

        They are those that :meth:`begin` finds. But what it prepares for many sentences takes as
        long as a fourth of the model does for one, most of it to fetch code and data from memory,
        because the model's weights fill the processor's caches. So this does without.

        Args:
            pieces: those of the sentence, at least one.
        """
        windows = self._encoder.windows([pieces])
        if len(windows) > 1 or self.spec.transitions:
            (tagged,) = self.begin([pieces]).result()
            return [(entity, tagged.confidence(entity)) for entity in to_entities(tagged.tags)]
        logits = self._forward(collate(windows, self.spec.pad_id))[0, windows[0].word_positions]
        # The softmax keeps the order of the labels; of equal ones the first counts, which is O.
        if self._outside == 0 and not any(logits.argmax(axis=-1).tolist()):
            return []
        scores = log_softmax(logits)
        ids = self._decoder.decode(scores)
        tagged = self._tagged(ids, np.exp(scores[np.arange(len(ids)), ids]))
        least = self.spec.thresholds
        return [
            (entity, confidence)
            for entity in to_entities(tagged.tags)
            if not (confidence := tagged.confidence(entity)) < least.get(entity.type, 0.0)
        ]

    def settled(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable]
    ) -> tuple[int, int]:
        """Say where the sentences of a stream can be parted without a change of any answer.

        Args:
            sentences: the stream's sentences so far.
            documents: the document of each; more sentences of the last one may follow.

        Returns:
            ``first, settled``: sentences that may follow change nothing for those before
            ``settled``; the next part begins with sentence ``first``, and those from ``first`` up
            to ``settled`` are only the context of the others.
        """
        if self.spec.context_subwords:
            settled = self._before(len(sentences), sentences, documents)
            return self._before(settled, sentences, documents), settled
        if self.spec.passage_sentences == 1:
            return len(sentences), len(sentences)
        last = max(group.start for group in self._passages(sentences, documents))
        return last, last

    def _before(
        self, end: int, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable]
    ) -> int:
        """Return the first of the sentences of the last document that ``end`` has as context."""
        first, missing = end, self.spec.context_subwords  # a piece has at least one subword
        while first and missing > 0 and documents[first - 1] == documents[-1]:
            first -= 1
            missing -= len(sentences[first])
        return first

    def _decode(self, scores: Scores) -> list[Tagged]:
        if not scores:
            return []
        ids = self._decoder.decode_all(scores)
        if self.spec.transitions:
            scores = [self._decoder.log_marginals(values) for values in scores]
        lengths = list(map(len, ids))
        flat = np.concatenate(ids)
        if self.spec.thresholds:
            inside = np.flatnonzero(flat != self._outside)
            owners = np.searchsorted(np.cumsum(lengths), inside, side="right")
            for index in np.unique(owners).tolist():
                self._drop_doubtful(ids[index], scores[index])
            flat = np.concatenate(ids)
        probabilities = np.exp(np.concatenate(scores)[np.arange(len(flat)), flat])
        parts = by_sentence(probabilities, lengths)
        return [
            self._tagged(sentence_ids, part) for sentence_ids, part in zip(ids, parts, strict=True)
        ]

    def _tagged(self, ids: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Tagged:
        return Tagged(list(map(self.labels.__getitem__, ids.tolist())), probabilities)

    def _drop_doubtful(self, ids: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Turn the tags of entities below their type's threshold into O, in place."""
        tagged = self._tagged(ids, np.exp(scores[np.arange(len(ids)), ids]))
        for entity in to_entities(tagged.tags):
            if tagged.confidence(entity) < self.spec.thresholds.get(entity.type, 0.0):
                ids[entity.start : entity.end] = self._outside

    def _begin_scores(
        self,
        sentences: Sequence[Sequence[str]],
        documents: Sequence[Hashable] | None,
        wanted: slice = ALL,
    ) -> Callable[[], Scores]:
        """Start to score, and return a function that waits for the scores.

        A score is the log-probability of a piece's label when the piece is taken by itself.
        """
        if self.spec.context_subwords:
            return self._begin_batches(sentences, documents, wanted)
        sentences = sentences[wanted]
        groups = self._passages(sentences, documents and documents[wanted])
        # Tickets and logs repeat boilerplate, which is scored once.
        positions: dict[tuple[str, ...], int] = {}
        indices = [
            positions.setdefault(
                tuple(chain.from_iterable(sentences[index] for index in group)), len(positions)
            )
            for group in groups
        ]
        finish = self._begin_batches(list(positions), None, ALL)

        def repeat() -> Scores:
            scores = finish()
            if self.spec.passage_sentences == 1:
                return [scores[index] for index in indices]
            return [
                part
                for group, index in zip(groups, indices, strict=True)
                for part in by_sentence(scores[index], [len(sentences[one]) for one in group])
            ]

        return repeat

    def _passages(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None
    ) -> list[range]:
        most_sentences = self.spec.passage_sentences
        if most_sentences == 1:
            return [range(index, index + 1) for index in range(len(sentences))]
        lengths = list(map(len, sentences))
        most_pieces = passage_pieces(self.spec.max_length)
        return list(passages(lengths, documents, most_sentences, most_pieces))

    def _begin_batches(
        self,
        sentences: Sequence[Sequence[str]],
        documents: Sequence[Hashable] | None,
        wanted: slice,
    ) -> Callable[[], Scores]:
        windows = self._encoder.windows(sentences, documents)
        tagged = range(len(sentences))[wanted]
        if len(tagged) < len(sentences):
            windows = [window for window in windows if window.sentence in tagged]
        parts = list(batches(windows, self._batch_subwords))
        distinct, positions = distinct_batches(
            [[windows[index] for index in part] for part in parts]
        )
        work = [partial(self._score_batch, batch) for batch in distinct]
        futures: list[Future[Scores]] = []
        computed: list[Scores] = []
        if self._executor and len(work) >= self._executor.workers > 1:
            futures = [self._executor.submit(batch) for batch in work]
        else:
            computed = [batch(self._forward) for batch in work]

        lengths = list(map(len, sentences))

        def collect() -> Scores:
            by_batch = [future.result() for future in futures] or computed
            scores: Scores = [np.empty((0, len(self.labels)), np.float32)] * len(windows)
            for part, position in zip(parts, positions, strict=True):
                for index, window_scores in zip(part, by_batch[position], strict=True):
                    scores[index] = window_scores
            return merge(windows, scores, lengths, len(self.labels))[wanted]

        return collect

    def _score_batch(self, windows: Sequence[Window], forward: Forward) -> Scores:
        logits = forward(collate(windows, self.spec.pad_id))
        if len(windows) == 1:
            return [log_softmax(logits[0, windows[0].word_positions])]
        counts = [len(window.word_positions) for window in windows]
        rows = np.repeat(np.arange(len(windows)), counts)
        scores = log_softmax(
            logits[rows, np.concatenate([window.word_positions for window in windows])]
        )
        return by_sentence(scores, counts)


def _join(tagged: Tagged, owners: Sequence[int], words: int) -> Tagged:
    """Return the tags of words, given the tags of their pieces.

    Args:
        tagged: the tags and probabilities of the pieces.
        owners: the index of each piece's word.
        words: number of words.
    """
    entities = sorted(
        to_entities(tagged.tags),
        key=lambda entity: (
            owners[entity.start] - owners[entity.end - 1],
            entity.start - entity.end,
        ),
    )
    taken: set[int] = set()
    kept: list[Entity] = []
    for entity in entities:
        covered = range(owners[entity.start], owners[entity.end - 1] + 1)
        if taken.isdisjoint(covered):
            taken.update(covered)
            kept.append(Entity(covered.start, covered.stop, entity.type))
    totals = np.bincount(owners, tagged.probabilities, words)
    probabilities = (totals / np.bincount(owners, minlength=words)).astype(np.float32)
    return Tagged(to_tags(kept, words), probabilities)
