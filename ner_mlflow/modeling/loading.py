"""Open a model on disk as a tagger, be it a PyTorch model or an exported one."""

from pathlib import Path

from ..tagging.recognizer import MODEL_FILE, load_tagger
from ..tagging.tagger import Tagger


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
