"""An exported model on disk as a function from texts to entities."""

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

from ..errors import ModelError
from .encoding import Inputs
from .iob2 import to_entities
from .tagger import Forward, Tagger, TaggerSpec
from .words import encodable, split_sentences

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
BATCH_SUBWORDS = 256
"""Padded subwords a batch; larger ones leave the processor's caches (docs/log.md)."""
CPU = "CPUExecutionProvider"
SLOW_FUSIONS = ["SkipLayerNormFusion"]
"""Of ONNX Runtime 1.31: the fused kernel takes nine times as long as the layer norm alone, a quarter of an int8 model's time."""
PART_CHARACTERS = 65_536
FIRST_PART_TEXTS = 128
PART_TEXTS = 1024
"""Texts of a part at most: the first is small, so that the cores have soon something to compute, each other up to twice the one before."""
PARTS_AHEAD = 2
"""Parts of a stream of texts that are begun before the answers of the first are waited for."""


class TextEntity(NamedTuple):
    """An entity in a text: ``text[start:end]``, offsets in code points; ``score`` is the mean probability of its words' tags."""

    text: str
    label: str
    start: int
    end: int
    score: float


def onnx_session(path: Path, threads: int = 0, provider: str = CPU) -> onnxruntime.InferenceSession:
    """A session on one of ONNX Runtime's providers, what that cannot compute on the CPU; ``threads`` of 0 takes all cores.

    Raises:
        ModelError: this ONNX Runtime has no such provider.
    """
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise ModelError(
            f"provider {provider!r} is none of this ONNX Runtime's ({', '.join(available)}): give one of these, or install the build that has it"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        path,
        options,
        providers=list(dict.fromkeys([provider, CPU])),
        disabled_optimizers=SLOW_FUSIONS,
    )


def onnx_forward(session: onnxruntime.InferenceSession) -> Forward:
    """Logits by ONNX Runtime."""

    def forward(inputs: Inputs) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(["logits"], inputs)[0]
        return logits

    return forward


class OnnxBatchExecutor:
    """Many batches at once, each on one core: of sentences as short as these, faster than all cores on each batch in turn.

    Its session and threads are made when they are first needed.
    """

    def __init__(self, path: Path, workers: int) -> None:
        self.workers = workers
        self._path = path
        self._lock = Lock()

    def submit(
        self, work: Callable[[Forward], list[NDArray[np.float32]]]
    ) -> Future[list[NDArray[np.float32]]]:
        """Begin ``work`` on one of the threads."""
        with self._lock:
            forward, executor = self._made
        return executor.submit(work, forward)

    @cached_property
    def _made(self) -> tuple[Forward, ThreadPoolExecutor]:
        return onnx_forward(onnx_session(self._path, threads=1)), ThreadPoolExecutor(
            self.workers, "tagger"
        )


def load_tagger(
    folder: Path, threads: int = 0, batch_subwords: int = BATCH_SUBWORDS, provider: str = CPU
) -> Tagger:
    """The tagger of an exported model: ``model.onnx``, ``tokenizer.json`` and ``ner_model.json`` in one folder.

    Args:
        folder: holds the three files.
        threads: 0 takes all cores.
        batch_subwords: padded subwords a batch.
        provider: of ONNX Runtime; on an accelerator batches are computed one after the other.

    Raises:
        ModelError: a file is broken or missing, or there is no such provider.
    """
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    executor = (
        OnnxBatchExecutor(folder / MODEL_FILE, threads or os.cpu_count() or 1)
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
    """Finds entities in texts of any length, sentence by sentence."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger

    def recognize(self, texts: Iterable[str]) -> Iterator[list[TextEntity]]:
        """The entities of each text, in order.

        Texts are read some ahead of the answers: one part is cut into words while another is tagged. So a stream of any length
        takes the memory of a few parts.
        """
        begun: deque[Callable[[], Iterator[list[TextEntity]]]] = deque()
        for part in _parts(texts):
            begun.append(self._begin(part))
            if len(begun) > PARTS_AHEAD:
                yield from begun.popleft()()
        for finish in begun:
            yield from finish()

    def recognize_rows(self, texts: Iterable[str]) -> list[list[dict[str, Any]]]:
        """The same as plain dicts, as served."""
        return [[entity._asdict() for entity in entities] for entities in self.recognize(texts)]

    def _begin(self, texts: Sequence[str]) -> Callable[[], Iterator[list[TextEntity]]]:
        cut = [split_sentences(encodable(text)) for text in texts]
        sentences = [sentence for sentences in cut for sentence in sentences]
        owners = [index for index, sentences in enumerate(cut) for _ in sentences]
        finish = self._tagger.begin([sentence.texts for sentence in sentences], owners)

        def entities() -> Iterator[list[TextEntity]]:
            found: list[list[TextEntity]] = [[] for _ in texts]
            for owner, sentence, tags in zip(owners, sentences, finish(), strict=True):
                for entity in to_entities(tags.tags):
                    start, end = sentence.starts[entity.start], sentence.ends[entity.end - 1]
                    score = float(tags.probabilities[entity.start : entity.end].mean())
                    found[owner].append(
                        TextEntity(texts[owner][start:end], entity.type, start, end, score)
                    )
            yield from found

        return entities


def _parts(texts: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    characters, most = 0, FIRST_PART_TEXTS
    for text in texts:
        part.append(text)
        characters += len(text)
        if characters >= PART_CHARACTERS or len(part) >= most:
            yield part
            part, characters, most = [], 0, min(PART_TEXTS, 2 * most)
    if part:
        yield part
