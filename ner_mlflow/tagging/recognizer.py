"""Load an exported model and find entities in texts with it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ..cpus import usable_cpus
from ..errors import ModelError
from .encoding import Inputs
from .iob2 import to_entities
from .pending import Pending
from .policies import RegionPolicies
from .tagger import Forward, Tagger, TaggerSpec
from .words import encodable, split_sentences

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
BATCH_SUBWORDS = 256
"""Padded subwords of a batch; larger batches do not fit the processor's caches (docs/log.md)."""
CPU = "CPUExecutionProvider"
SLOW_FUSIONS = ["SkipLayerNormFusion"]
"""Fusions of ONNX Runtime 1.31 that slow a model down.

The fused kernel takes nine times as long as the layer norm alone: a quarter of the time of an int8
model.
"""
PART_CHARACTERS = 65_536
"""A part of a stream of texts is complete once it has this many characters."""
FIRST_PART_TEXTS = 128
"""Most texts of the first part; few, so that the cores soon have work. The limit then doubles."""
PART_TEXTS = 1024
"""Most texts of any part."""
PARTS_AHEAD = 2
"""Parts that are started before the answers of the first are awaited."""


class TextEntity(NamedTuple):
    """An entity of a text.

    Attributes:
        text: the entity's own text, ``text[start:end]`` of the whole.
        label: the entity type.
        start: offset of its first character, in code points.
        end: offset after its last character.
        score: mean probability of the tags of its words.
    """

    text: str
    label: str
    start: int
    end: int
    score: float


def onnx_session(path: Path, threads: int = 0, provider: str = CPU) -> onnxruntime.InferenceSession:
    """Open a model file with ONNX Runtime.

    Args:
        path: the model file.
        threads: threads of one call; 0 takes all usable cores.
        provider: ONNX Runtime's provider; the CPU computes the nodes that it does not support.

    Raises:
        ModelError: this ONNX Runtime has no such provider.
    """
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise ModelError(
            f"provider {provider!r} is none of this ONNX Runtime's ({', '.join(available)}): "
            "give one of these, or install the build that has it"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _default_threads()
    return onnxruntime.InferenceSession(
        path,
        options,
        providers=list(dict.fromkeys([provider, CPU])),
        disabled_optimizers=SLOW_FUSIONS,
    )


def onnx_forward(session: onnxruntime.InferenceSession) -> Forward:
    """Return the forward function of a session."""

    def forward(inputs: Inputs) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(["logits"], inputs)[0]
        return logits

    return forward


class OnnxBatchExecutor:
    """A thread per core, each of which computes whole batches on its core.

    For short sentences this is faster than all cores on one batch after the other. The session and
    the threads are created with the first batch.
    """

    def __init__(self, path: Path, workers: int) -> None:
        self.workers = workers
        self._path = path
        self._lock = Lock()

    def submit(
        self, work: Callable[[Forward], list[NDArray[np.float32]]]
    ) -> Future[list[NDArray[np.float32]]]:
        """Start ``work`` on one of the threads."""
        with self._lock:
            forward, executor = self._pool
        return executor.submit(work, forward)

    @cached_property
    def _pool(self) -> tuple[Forward, ThreadPoolExecutor]:
        return onnx_forward(onnx_session(self._path, threads=1)), ThreadPoolExecutor(
            self.workers, "tagger"
        )


def load_tagger(
    folder: Path, threads: int = 0, batch_subwords: int = BATCH_SUBWORDS, provider: str = CPU
) -> Tagger:
    """Load the tagger of an exported model.

    Args:
        folder: holds ``model.onnx``, ``tokenizer.json`` and ``ner_model.json``.
        threads: 0 takes all usable cores.
        batch_subwords: largest number of padded subwords in a batch.
        provider: ONNX Runtime's provider; an accelerator computes one batch after the other.

    Raises:
        ModelError: ``ner_model.json`` is broken or missing, or there is no such provider.
    """
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    executor = (
        OnnxBatchExecutor(folder / MODEL_FILE, threads or usable_cpus())
        if provider == CPU
        else None
    )
    return Tagger(
        onnx_forward(onnx_session(folder / MODEL_FILE, threads, provider)),
        tokenizer,
        TaggerSpec.load(folder),
        batch_subwords,
        executor,
    )


class EntityRecognizer:
    """A tagger for texts of any length, which it reads sentence by sentence."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._policies = RegionPolicies(tagger.spec.region_policies, tagger.spec.error_types)

    def recognize(self, texts: Iterable[str]) -> Iterator[list[TextEntity]]:
        """Yield the entities of each text, in order.

        The texts are read a few parts ahead of the answers: one part is split into words while
        another is tagged. A stream of any length needs the memory of these parts only.
        """
        pending: deque[Pending[list[list[TextEntity]]]] = deque()
        for part in _parts(texts):
            pending.append(self._begin(part))
            if len(pending) > PARTS_AHEAD:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()

    def recognize_rows(self, texts: Iterable[str]) -> list[list[dict[str, Any]]]:
        """Return the same entities as plain dicts, as served."""
        return [[entity._asdict() for entity in entities] for entities in self.recognize(texts)]

    def _begin(self, texts: Sequence[str]) -> Pending[list[list[TextEntity]]]:
        split_texts = [split_sentences(encodable(text)) for text in texts]
        sentences = [sentence for sentences in split_texts for sentence in sentences]
        owners = [index for index, sentences in enumerate(split_texts) for _ in sentences]
        tagging = self._tagger.begin([sentence.texts for sentence in sentences], owners)

        def entities() -> list[list[TextEntity]]:
            by_text: list[list[TextEntity]] = [[] for _ in texts]
            for owner, sentence, tagged in zip(owners, sentences, tagging.result(), strict=True):
                for entity in to_entities(tagged.tags):
                    start, end = sentence.starts[entity.start], sentence.ends[entity.end - 1]
                    score = float(tagged.probabilities[entity.start : entity.end].mean())
                    by_text[owner].append(
                        TextEntity(texts[owner][start:end], entity.type, start, end, score)
                    )
            return [
                self._policies.select(text, entities)
                for text, entities in zip(texts, by_text, strict=True)
            ]

        return Pending(entities)


def _default_threads() -> int:
    """Return 0, ONNX Runtime's own choice, unless this process may not use all CPUs."""
    usable = usable_cpus()
    return usable if usable < (os.cpu_count() or usable) else 0


def _parts(texts: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    characters, limit = 0, FIRST_PART_TEXTS
    for text in texts:
        part.append(text)
        characters += len(text)
        if characters >= PART_CHARACTERS or len(part) >= limit:
            yield part
            part, characters, limit = [], 0, min(PART_TEXTS, 2 * limit)
    if part:
        yield part
