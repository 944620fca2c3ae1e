"""An exported model on disk as a function from texts to entities."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ..bio import to_entities
from ..encoding import Inputs
from ..tagger import Forward, Tagger, TaggerSpec
from .text import Word, split_sentences

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class TextEntity:
    """An entity in a text: ``text[start:end]``, offsets in code points; ``score`` is the mean probability of its words' tags."""

    text: str
    label: str
    start: int
    end: int
    score: float


def onnx_session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """A CPU session; ``threads`` of 0 takes all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def onnx_forward(session: onnxruntime.InferenceSession) -> Forward:
    """Logits by ONNX Runtime."""

    def forward(inputs: Inputs) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(["logits"], inputs)[0]
        return logits

    return forward


def load_tagger(folder: Path, threads: int = 0, batch_tokens: int = 4096) -> Tagger:
    """The tagger of an exported model: ``model.onnx``, ``tokenizer.json`` and ``ner_model.json`` in one folder."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    return Tagger(onnx_forward(onnx_session(folder / MODEL_FILE, threads)), tokenizer, TaggerSpec.load(folder), batch_tokens)


class EntityRecognizer:
    """Finds entities in texts of any length, sentence by sentence."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger

    def recognize(self, texts: Sequence[str]) -> list[list[TextEntity]]:
        """The entities of each text, in order."""
        sentences: list[list[Word]] = []
        owners: list[int] = []
        for index, text in enumerate(texts):
            for sentence in split_sentences(text):
                sentences.append(sentence)
                owners.append(index)
        found: list[list[TextEntity]] = [[] for _ in texts]
        tagged = self._tagger.tag([[_encodable(word.text) for word in sentence] for sentence in sentences], owners)
        for owner, sentence, tags in zip(owners, sentences, tagged, strict=True):
            for entity in to_entities(tags.tags):
                start, end = sentence[entity.start].start, sentence[entity.end - 1].end
                score = float(tags.probabilities[entity.start : entity.end].mean())
                found[owner].append(TextEntity(texts[owner][start:end], entity.type, start, end, score))
        return found

    def recognize_rows(self, texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        """The same as plain dicts, as served."""
        return [[asdict(entity) for entity in entities] for entities in self.recognize(texts)]


def _encodable(text: str) -> str:
    # JSON may carry half a surrogate pair, which UTF-8 cannot; one character for one keeps the offsets.
    return _LONE_SURROGATE.sub("\ufffd", text)
