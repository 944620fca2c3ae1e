"""A found model, ready to tag."""

from ..serving.recognizer import load_tagger
from ..tagger import Tagger
from ..tracking.models import FoundModel

TAGGING_CODE = (
    "bio.py",
    "casing.py",
    "decoding.py",
    "encoding.py",
    "tagger.py",
    "modeling/build.py",
    "modeling/checkpoint.py",
    "modeling/crf.py",
    "modeling/predict.py",
    "serving/recognizer.py",
    "workflows/models.py",
)
"""What an opened tagger's answers depend on, beside the model and the libraries."""


def open_tagger(model: FoundModel, batch_tokens: int) -> Tagger:
    """The tagger of a model: of an ONNX one as it is served, of a PyTorch one in batches of ``batch_tokens``."""
    if model.is_onnx:
        return load_tagger(model.folder)
    # Here and not above: PyTorch takes seconds to load, which a step that opens ONNX models only need not wait for.
    from ..modeling.checkpoint import load_model
    from ..modeling.predict import torch_tagger

    checkpoint = load_model(model.folder)
    return torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec, batch_tokens)
