"""Read an exported model's file; apart from the writers, so that who reads need not import PyTorch."""

from pathlib import Path

import onnx

from ..tagging.recognizer import MODEL_FILE


def read_onnx(folder: Path) -> onnx.ModelProto:
    """The model file of an exported folder, whole."""
    return onnx.load(folder / MODEL_FILE)
