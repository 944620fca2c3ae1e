"""Write a fitted model as ONNX, by the libraries' own exporters and quantisers, one self-contained folder a variant."""

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from torch import Tensor, nn

from ..config import Variant
from ..modeling.checkpoint import Checkpoint
from ..serving.recognizer import MODEL_FILE, TOKENIZER_FILE

OPSET = 20


def write_fp32(checkpoint: Checkpoint, folder: Path) -> None:
    """Export the network as it is, batch and length dynamic, weights inside ``model.onnx``."""
    _prepare(checkpoint, folder)
    shape = (2, min(16, checkpoint.spec.max_length))
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if checkpoint.spec.casing_embeddings else [])]
    example = tuple(torch.ones(shape, dtype=torch.int64) for _ in names)  # one tensor given twice becomes one input
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    checkpoint.network.set_attn_implementation("eager")  # exports to fewer nodes than sdpa, and runs faster quantised
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own internals, none of which a user can mend
            torch.onnx.export(
                _LogitsOnly(checkpoint.network, names).eval(),
                example,
                folder / MODEL_FILE,
                input_names=names,
                output_names=["logits"],
                dynamic_shapes=((axes,) * len(names),),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        exporter_log.setLevel(level)


def write_fp16(checkpoint: Checkpoint, fp32: Path, folder: Path) -> None:
    """Weights and arithmetic in half precision, inputs and outputs as before."""
    _prepare(checkpoint, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one for each weight too small for half precision; parity shows what it costs
        model = convert_float_to_float16(onnx.load(fp32 / MODEL_FILE), keep_io_types=True)
    onnx.save(model, folder / MODEL_FILE)


def write_int8(checkpoint: Checkpoint, fp32: Path, folder: Path) -> None:
    """Weights in 8 bits, a scale for each output channel; activations quantised as they come (dynamic quantisation)."""
    _prepare(checkpoint, folder)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the quantiser recommends a pre-processing that the exporter has done
    try:
        quantize_dynamic(fp32 / MODEL_FILE, folder / MODEL_FILE, weight_type=QuantType.QInt8, per_channel=True)
    finally:
        root.setLevel(level)


DERIVED: dict[Variant, Callable[[Checkpoint, Path, Path], None]] = {"fp16": write_fp16, "int8": write_int8}
"""Variants made from fp32: name -> (checkpoint, folder of fp32, folder to write)."""


class _LogitsOnly(nn.Module):
    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names = tuple(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def _prepare(checkpoint: Checkpoint, folder: Path) -> None:
    folder.mkdir(parents=True)
    checkpoint.tokenizer.save(str(folder / TOKENIZER_FILE))
    checkpoint.spec.save(folder)
