"""Write a fitted model as ONNX, by the libraries' own exporters and quantisers, one self-contained folder a variant."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from torch import Tensor, nn

from ..config.schema import Variant
from ..modeling.checkpoint import Checkpoint
from ..tagging.encoding import Window
from ..tagging.recognizer import MODEL_FILE, TOKENIZER_FILE
from .latency import sentence_inputs
from .static_int8 import quantize_static

log = logging.getLogger(__name__)

OPSET = 20


def write_fp32(checkpoint: Checkpoint, folder: Path) -> None:
    """Export the network as it is, batch and length dynamic, weights inside ``model.onnx``."""
    _prepare(checkpoint, folder)
    shape = (2, min(16, checkpoint.spec.max_length))
    names = [
        "input_ids",
        "attention_mask",
        *(["token_type_ids"] if checkpoint.spec.casing_embeddings else []),
    ]
    example = tuple(
        torch.ones(shape, dtype=torch.int64) for _ in names
    )  # one tensor given twice becomes one input
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    checkpoint.network.set_attn_implementation(
        "eager"
    )  # exports to fewer nodes than sdpa, and runs faster quantised
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of the exporter's own internals, none of which a user can mend
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
        warnings.simplefilter(
            "ignore"
        )  # one for each weight too small for half precision; parity shows what it costs
        model = convert_float_to_float16(onnx.load(fp32 / MODEL_FILE), keep_io_types=True)
    onnx.save(model, folder / MODEL_FILE)


def write_int8(checkpoint: Checkpoint, fp32: Path, folder: Path) -> None:
    """Weights in 8 bits, a scale for each output channel; activations quantised as they come (dynamic quantisation)."""
    _prepare(checkpoint, folder)
    root = logging.getLogger()
    level = root.level
    root.setLevel(
        logging.ERROR
    )  # the quantiser recommends a pre-processing that the exporter has done
    try:
        quantize_dynamic(
            fp32 / MODEL_FILE, folder / MODEL_FILE, weight_type=QuantType.QInt8, per_channel=True
        )
    finally:
        root.setLevel(level)


def write_fused(checkpoint: Checkpoint, fp32: Path, folder: Path) -> None:
    """fp32 with the nodes of a transformer fused by ONNX Runtime's optimiser, where it knows the architecture's graph.

    Layer norms stay alone: fused with the addition before them they are slower on a CPU.
    """
    _prepare(checkpoint, folder)
    config = checkpoint.network.config
    options = FusionOptions("bert")
    options.enable_skip_layer_norm = False
    optimised = optimize_model(
        str(fp32 / MODEL_FILE),
        "bert",
        config.num_attention_heads,
        config.hidden_size,
        optimization_options=options,
        opt_level=0,
        use_gpu=False,
    )
    log.info(
        "fused: %s",
        ", ".join(
            f"{count} {name}"
            for name, count in optimised.get_fused_operator_statistics().items()
            if count
        )
        or "nothing",
    )
    optimised.save_model_to_file(str(folder / MODEL_FILE))


def write_int8_static(
    checkpoint: Checkpoint,
    fp32: Path,
    folder: Path,
    calibration: Sequence[Window],
    damage_ratio: float,
) -> dict[str, float]:
    """Weights and activations in 8 bits, scales from calibration sentences: answers that do not depend on what else is in a batch.

    Returns:
        What quantising each layer alone does to the logits, of :func:`quantize_static`.
    """
    _prepare(checkpoint, folder)
    with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as scratch:
        return quantize_static(
            fp32 / MODEL_FILE,
            folder / MODEL_FILE,
            sentence_inputs(calibration),
            damage_ratio,
            Path(scratch),
        )


DERIVED: dict[Variant, Callable[[Checkpoint, Path, Path], None]] = {
    "fused": write_fused,
    "fp16": write_fp16,
    "int8": write_int8,
}
"""Variants made from fp32 alone: name -> (checkpoint, folder of fp32, folder to write)."""


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
