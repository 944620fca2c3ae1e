"""What a user of OpenVINO writes without this package: the best peer of the served model.

From texts to spans: texts are tokenised together, sorted by length, computed in padded batches by
OpenVINO's own queue of requests, and each run of equal types becomes a span. Texts beyond the
model's length are cut. A model with casing embeddings gets zeros in their place, because no
tokenizer makes them: its tags are then worse than ours, and its work is less.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openvino
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from ner_mlflow.cpus import usable_cpus
from ner_mlflow.tagging.encoding import Inputs
from ner_mlflow.tagging.recognizer import TOKENIZER_FILE
from ner_mlflow.tagging.tagger import Forward, TaggerSpec

BATCH_SUBWORDS = (512, 1024, 2048, 4096)
"""Sizes of batches that the peer may choose from."""


class Span(NamedTuple):
    """A span of a text, with offsets in code points."""

    start: int
    end: int
    label: str


def has_bf16() -> bool:
    """Return whether OpenVINO computes in bf16 on this processor."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compile_model(model_file: Path) -> Any:
    """Compile a model file for throughput, in bf16 where the processor has it."""
    return openvino.Core().compile_model(
        model_file,
        "CPU",
        {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "bf16" if has_bf16() else "f32",
            "INFERENCE_NUM_THREADS": usable_cpus(),
        },
    )


def peer(
    folder: Path, model_file: Path, batch_subwords: int
) -> Callable[[Sequence[str]], list[list[Span]]]:
    """Return a function from texts to spans.

    Args:
        folder: an exported model, for its tokenizer and labels.
        model_file: the file to compute, ONNX or OpenVINO's own.
        batch_subwords: padded subwords of a batch.
    """
    spec = TaggerSpec.load(folder)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.enable_truncation(spec.max_length)
    types = [label.partition("-")[2] for label in spec.labels]
    model = compile_model(model_file)
    names = [value.any_name for value in model.inputs]
    queue = openvino.AsyncInferQueue(model)

    def recognize(texts: Sequence[str]) -> list[list[Span]]:
        encodings = tokenizer.encode_batch(list(texts))
        spans: list[list[Span]] = [[] for _ in texts]

        def keep(request: Any, batch: Sequence[int]) -> None:
            for index, row in zip(batch, request.get_output_tensor().data.argmax(-1), strict=True):
                spans[index] = _spans(encodings[index], row, types)

        queue.set_callback(keep)
        order = sorted(range(len(encodings)), key=lambda index: -len(encodings[index].ids))
        start = 0
        while start < len(order):
            size = max(1, batch_subwords // len(encodings[order[start]].ids))
            batch = order[start : start + size]
            inputs = _inputs([encodings[index] for index in batch], spec.pad_id)
            queue.start_async({name: inputs[name] for name in names}, batch)
            start += size
        queue.wait_all()
        return spans

    return recognize


def forward_of(model_file: Path) -> Forward:
    """Return the forward function of the peer's model, to compare its tags."""
    request = compile_model(model_file).create_infer_request()

    def forward(inputs: Inputs) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = request.infer(inputs)[0].copy()
        return logits

    return forward


def quantize(model_file: Path, inputs: Sequence[Inputs], target: Path) -> bool:
    """Write OpenVINO's static int8 of a model; return False if NNCF, which does it, is missing.

    Args:
        model_file: the fp32 file.
        inputs: what the scales of activations are measured on.
        target: the file to write, ``*.xml``.
    """
    try:
        import nncf
    except ImportError:
        return False
    quantized = nncf.quantize(
        openvino.Core().read_model(model_file),
        nncf.Dataset(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(inputs),
    )
    openvino.save_model(quantized, target)
    return True


def _inputs(encodings: Sequence[Encoding], pad_id: int) -> Inputs:
    longest = len(encodings[0].ids)
    ids = np.full((len(encodings), longest), pad_id, np.int64)
    mask = np.zeros((len(encodings), longest), np.int64)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def _spans(encoding: Encoding, label_ids: NDArray[np.int64], types: Sequence[str]) -> list[Span]:
    spans: list[Span] = []
    open_type = ""
    for (start, end), label_id in zip(encoding.offsets, label_ids.tolist(), strict=False):
        type_ = types[label_id] if end > start else ""
        if type_ and type_ == open_type:
            spans[-1] = Span(spans[-1].start, end, type_)
        elif type_:
            spans.append(Span(start, end, type_))
        open_type = type_
    return spans
