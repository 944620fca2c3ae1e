"""Write a trained model as ONNX, in a self-contained folder for each variant.

The exporters and quantisers are those of PyTorch and ONNX Runtime.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from torch import Tensor, nn

from ..atomic import scratch_folder
from ..config.schema import Variant
from ..modeling.checkpoint import Checkpoint
from ..tagging.encoding import Window, batches, collate
from ..tagging.engines import MODEL_FILE
from ..tagging.recognizer import TOKENIZER_FILE
from .dynamic_int8 import DynamicInt8, quantize_and_mend
from .latency import sentence_inputs
from .static_int8 import quantize_static

log = logging.getLogger(__name__)

OPSET = 20
DAMAGE_BATCH_SUBWORDS = 1024
"""Padded subwords of a batch on which the damage of int8 is measured."""


def write_fp32(checkpoint: Checkpoint, folder: Path) -> None:
    """Export the network in fp32, with dynamic batch and length and weights in ``model.onnx``."""
    _write_companions(checkpoint, folder)
    shape = (2, min(16, checkpoint.spec.max_length))
    names = [
        "input_ids",
        "attention_mask",
        *(["token_type_ids"] if checkpoint.spec.casing_embeddings else []),
    ]
    # A tensor for each input: one tensor passed twice would become one input.
    example = tuple(torch.ones(shape, dtype=torch.int64) for _ in names)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    # Eager attention exports to fewer nodes than sdpa and runs faster when quantised.
    checkpoint.network.set_attn_implementation("eager")
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about internals of the exporter
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
    """Convert weights and arithmetic to half precision; inputs and outputs keep their types."""
    _write_companions(checkpoint, folder)
    with warnings.catch_warnings():
        # A warning for each weight too small for half precision; the proof shows their effect.
        warnings.simplefilter("ignore")
        model = convert_float_to_float16(onnx.load(fp32 / MODEL_FILE), keep_io_types=True)
    onnx.save(model, folder / MODEL_FILE)


def write_fused(checkpoint: Checkpoint, fp32: Path, folder: Path) -> None:
    """Fuse nodes of fp32 with ONNX Runtime's optimiser, as far as it knows the architecture.

    Layer norms stay separate: fused with the preceding addition they are slower on a CPU.
    """
    _write_companions(checkpoint, folder)
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


def write_int8(
    checkpoint: Checkpoint,
    fp32: Path,
    folder: Path,
    calibration: Sequence[Window],
    judged: Sequence[Window],
    limit_nats: float,
) -> DynamicInt8:
    """Quantise weights to 8 bits, a scale for each output channel, and activations at run time.

    This is dynamic quantisation: the batch determines the scales of the activations. Layers that it
    damages are mended, see :func:`quantize_and_mend`.

    Args:
        checkpoint: the trained model.
        fp32: the folder of the variant fp32.
        folder: a new folder.
        calibration: windows by which the factors of channels are chosen.
        judged: other windows, on which the damage is measured.
        limit_nats: largest damage, in nats for a subword.
    """
    _write_companions(checkpoint, folder)
    return quantize_and_mend(
        fp32 / MODEL_FILE,
        folder / MODEL_FILE,
        sentence_inputs(calibration),
        [
            collate([judged[index] for index in batch], checkpoint.spec.pad_id)
            for batch in batches(judged, DAMAGE_BATCH_SUBWORDS)
        ],
        limit_nats,
    )


def write_int8_static(
    checkpoint: Checkpoint,
    fp32: Path,
    folder: Path,
    calibration: Sequence[Window],
    damage_ratio: float,
) -> dict[str, float]:
    """Quantise weights and activations to 8 bits, with scales from calibration sentences.

    The answers do not depend on the other sentences of a batch.

    Returns:
        The damage of each layer, from :func:`quantize_static`.
    """
    _write_companions(checkpoint, folder)
    with scratch_folder() as scratch:
        return quantize_static(
            fp32 / MODEL_FILE,
            folder / MODEL_FILE,
            sentence_inputs(calibration),
            damage_ratio,
            scratch,
        )


WRITERS_FROM_FP32: dict[Variant, Callable[[Checkpoint, Path, Path], None]] = {
    "fused": write_fused,
    "fp16": write_fp16,
}
"""Writers of the variants that need only fp32; arguments: checkpoint, fp32's folder, own folder."""


def read_onnx(folder: Path) -> onnx.ModelProto:
    """Read the model file of an exported folder."""
    return onnx.load(folder / MODEL_FILE)


class _LogitsOnly(nn.Module):
    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names = tuple(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def _write_companions(checkpoint: Checkpoint, folder: Path) -> None:
    """Create the folder and write the files that a model needs beside its graph."""
    folder.mkdir(parents=True)
    checkpoint.tokenizer.save(str(folder / TOKENIZER_FILE))
    checkpoint.spec.save(folder)
