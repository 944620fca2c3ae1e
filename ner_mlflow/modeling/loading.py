"""Open a model on disk as a tagger, be it a PyTorch model or an exported one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..errors import ModelError
from ..tagging.engines import MODEL_FILE
from ..tagging.recognizer import load_tagger
from ..tagging.tagger import Tagger

TEACHER_BATCH_SUBWORDS = 4096
"""Padded subwords in one batch of a teacher that is a PyTorch model."""


class Teacher(Protocol):
    """A trained model on this disk."""

    @property
    def folder(self) -> Path:
        """Return the folder with its ``ner_model.json``."""

    @property
    def address(self) -> str:
        """Return its name in error messages."""

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of its files."""


def is_onnx_model(folder: Path) -> bool:
    """Return whether a folder holds an exported model rather than a PyTorch one."""
    return (folder / MODEL_FILE).is_file()


def open_tagger(folder: Path, batch_subwords: int) -> Tagger:
    """Return a tagger over the model in a folder.

    Args:
        folder: a PyTorch model or an exported one, with its ``ner_model.json``.
        batch_subwords: padded subwords in one batch of a PyTorch model; an exported one has the
            batches that it is served with.
    """
    if is_onnx_model(folder):
        return load_tagger(folder)
    # PyTorch takes seconds to import, and steps that open exported models do without it.
    from .checkpoint import load_model
    from .predict import torch_tagger

    checkpoint = load_model(folder)
    return torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec, batch_subwords)


def open_teachers(teachers: Sequence[Teacher], labels: tuple[str, ...]) -> list[Tagger]:
    """Return a tagger for each teacher.

    Raises:
        ModelError: a teacher has other labels than these.
    """
    taggers = [open_tagger(teacher.folder, TEACHER_BATCH_SUBWORDS) for teacher in teachers]
    for teacher, tagger in zip(teachers, taggers, strict=True):
        if tagger.labels != labels:
            raise ModelError(
                f"teacher {teacher.address} has the labels {', '.join(tagger.labels)}, "
                f"not {', '.join(labels)}: give another"
            )
    return taggers
