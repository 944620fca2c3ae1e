"""Words in, valid IOB2 tags and their probabilities out, whatever computes the logits (PyTorch or ONNX Runtime)."""

import json
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ..errors import ModelError
from .decoding import Iob2Decoder, Transitions, by_sentence, log_softmax
from .encoding import Inputs, Window, WordEncoder, batches, collate, merge
from .iob2 import split_tag

Forward = Callable[[Inputs], NDArray[np.float32]]
"""Inputs of shape (batch, length) -> logits of shape (batch, length, labels)."""


@dataclass(frozen=True)
class TaggerSpec:
    """What one must know of a model to tag with it; saved beside its weights as ``ner_model.json``.

    ``labels[i]`` is the tag with id ``i``; ``max_length`` is the window in subwords; ``pad_id`` fills shorter rows of a
    batch. ``base_sha256`` is that of the backbone's weights file; with ``casing_embeddings`` the model also sees how words are
    written, with ``context_subwords`` as many subwords of the sentences before and after.
    ``transitions`` are those of a conditional random field, where it has one.
    """

    labels: tuple[str, ...]
    max_length: int
    pad_id: int
    backbone: str
    backbone_revision: str
    base_sha256: str
    adaptation: str
    casing_embeddings: bool = False
    context_subwords: int = 0
    transitions: Transitions | None = None

    FILE: ClassVar[str] = "ner_model.json"
    FORMAT: ClassVar[int] = 1

    @property
    def types(self) -> tuple[str, ...]:
        """The entity types, in label order."""
        return tuple(dict.fromkeys(type_ for _, type_ in map(split_tag, self.labels) if type_))

    def encoder(self, tokenizer: Tokenizer) -> WordEncoder:
        """The encoder that makes this model's inputs."""
        return WordEncoder(
            tokenizer, self.max_length, self.casing_embeddings, self.context_subwords
        )

    def save(self, folder: Path) -> None:
        """Write the file into a folder that exists."""
        (folder / self.FILE).write_text(
            json.dumps({"format": self.FORMAT, **asdict(self)}, indent=2) + "\n", encoding="utf-8"
        )

    @classmethod
    def load(cls, folder: Path) -> "TaggerSpec":
        """Read the file.

        Raises:
            ModelError: it is missing or of another format.
        """
        path = folder / cls.FILE
        if not path.is_file():
            raise ModelError(
                f"{folder}: no {cls.FILE}, so not a model of this platform: give a train or export run, or a model it logged"
            )
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format") != cls.FORMAT:
                raise ValueError
            if transitions := values.get("transitions"):
                values["transitions"] = Transitions(
                    tuple(transitions["starts"]), tuple(map(tuple, transitions["steps"]))
                )
            return cls(**{**values, "labels": tuple(values["labels"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(
                f"{path}: broken or written in another format, this version reads {cls.FORMAT}: train the model again"
            ) from error


@dataclass(frozen=True, slots=True)
class Tagged:
    """The predicted tags of a sentence and the model's probability of each; both as long as the sentence."""

    tags: list[str]
    probabilities: NDArray[np.float32]


class BatchExecutor(Protocol):
    """Computes the logits of many batches at once."""

    workers: int

    def submit(
        self, work: Callable[[Forward], list[NDArray[np.float32]]]
    ) -> Future[list[NDArray[np.float32]]]:
        """Begin ``work`` on a worker, with the logits' function that is meant for it."""


class Tagger:
    """Tags sentences of any length in length-sorted batches."""

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
            tokenizer: of the model.
            spec: of the model.
            batch_subwords: bounds the padded subwords of one forward call, and so its memory.
            executor: computes those of many batches at once, where there are enough of them; None: one after the other.
            encoder: the model's; None: a new one.
        """
        self._forward = forward
        self._encoder = encoder or spec.encoder(tokenizer)
        self._decoder = Iob2Decoder(spec.labels, spec.transitions)
        self._batch_subwords = batch_subwords
        self._executor = executor
        self.spec = spec
        self.labels = spec.labels

    def log_probabilities(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> list[NDArray[np.float32]]:
        """Log-probabilities of the labels for each sentence, shape (words, labels).

        ``documents`` says what each sentence was cut from, for models that look at neighbours; None: all from one.
        """
        scores = self._scores(sentences, documents)()
        return (
            [self._decoder.log_marginals(values) for values in scores]
            if self.spec.transitions
            else scores
        )

    def tag(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> list[Tagged]:
        """The most probable valid tags of each sentence; ``documents`` as in :meth:`log_probabilities`."""
        return self.begin(sentences, documents)()

    def begin(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> Callable[[], list[Tagged]]:
        """Begin to tag; what is returned waits for the tags. Meanwhile the caller can prepare the sentences that come next."""
        scores = self._scores(sentences, documents)
        return lambda: self._tagged(scores())

    def _tagged(self, scores: list[NDArray[np.float32]]) -> list[Tagged]:
        ids = self._decoder.decode_all(scores)
        if self.spec.transitions:
            scores = [self._decoder.log_marginals(values) for values in scores]
        if not scores:
            return []
        flat = np.concatenate(ids)
        probabilities = np.exp(np.concatenate(scores)[np.arange(len(flat)), flat])
        parts = by_sentence(probabilities, list(map(len, ids)))
        return [
            Tagged([self.labels[id_] for id_ in of_sentence.tolist()], part)
            for of_sentence, part in zip(ids, parts, strict=True)
        ]

    def _scores(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None
    ) -> Callable[[], list[NDArray[np.float32]]]:
        """Log-probabilities of each word by itself, once they are called for."""
        if self.spec.context_subwords:
            return self._computed(sentences, documents)
        # Boilerplate comes again and again in tickets and logs: without neighbours to look at, it is computed once.
        places: dict[tuple[str, ...], int] = {}
        indices = [places.setdefault(tuple(sentence), len(places)) for sentence in sentences]
        computed = self._computed(list(places), None)

        def repeated() -> list[NDArray[np.float32]]:
            scores = computed()
            return [scores[index] for index in indices]

        return repeated

    def _computed(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None
    ) -> Callable[[], list[NDArray[np.float32]]]:
        windows = self._encoder.windows(sentences, documents)
        parts = list(batches(windows, self._batch_subwords))
        work = [partial(self._batch_scores, [windows[index] for index in part]) for part in parts]
        if self._executor and len(parts) >= self._executor.workers > 1:
            futures = [self._executor.submit(batch) for batch in work]
            found = (future.result() for future in futures)
        else:
            found = (values for values in [batch(self._forward) for batch in work])

        def collect() -> list[NDArray[np.float32]]:
            scores: list[NDArray[np.float32]] = [np.empty((0, len(self.labels)), np.float32)] * len(
                windows
            )
            for part, values in zip(parts, found, strict=True):
                for index, of_window in zip(part, values, strict=True):
                    scores[index] = of_window
            return merge(
                windows, scores, [len(sentence) for sentence in sentences], len(self.labels)
            )

        return collect

    def _batch_scores(
        self, windows: Sequence[Window], forward: Forward
    ) -> list[NDArray[np.float32]]:
        logits = forward(collate(windows, self.spec.pad_id))
        counts = [len(window.word_positions) for window in windows]
        rows = np.repeat(np.arange(len(windows)), counts)
        scores = log_softmax(
            logits[rows, np.concatenate([window.word_positions for window in windows])]
        )
        return by_sentence(scores, counts)
