"""Quantise weights and activations with scales from calibration; sensitive layers stay in fp32."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from ..errors import ModelError
from ..tagging.encoding import Inputs
from ..tagging.onnx_engine import onnx_forward, onnx_session
from ..tagging.tagger import Forward

log = logging.getLogger(__name__)

QUANTISED = ("MatMul", "Gemm", "Gather")
"""Operators whose weights become 8 bits: matrix products and embeddings."""
DAMAGE_SENTENCES = 32
"""Number of calibration sentences on which the damage of each layer is measured."""


def quantize_static(
    fp32: Path, target: Path, calibration: Sequence[Inputs], damage_ratio: float, scratch: Path
) -> dict[str, float]:
    """Write a copy of a model file with 8-bit weights and activations.

    Weights have a scale for each output channel. First, each layer is quantised alone: its damage
    is the mean absolute difference of the logits from those of ``fp32``. Then all layers are
    quantised together, but those whose damage exceeds ``damage_ratio`` times the median stay in
    fp32.

    Args:
        fp32: the model file.
        target: the file to write.
        calibration: inputs of one sentence each; the ranges of their activations give the scales.
        damage_ratio: largest damage of a quantised layer, as a multiple of the median damage.
        scratch: an existing folder for temporary files.

    Returns:
        The damage of each layer, by the name of its node, in descending order.

    Raises:
        ModelError: no layer would be quantised.
    """
    ranges = _calibrate(fp32, calibration, scratch / "augmented.onnx")
    layers = _quantisable_layers(fp32)
    reference = onnx_forward(onnx_session(fp32))
    sentences = calibration[:DAMAGE_SENTENCES]
    expected = [reference(inputs) for inputs in sentences]
    damage = {}
    for layer in layers:
        _write_quantised(fp32, scratch / "alone.onnx", ranges, [layer])
        damage[layer] = _mean_difference(
            onnx_forward(onnx_session(scratch / "alone.onnx")), sentences, expected
        )
    limit = damage_ratio * float(np.median(list(damage.values())))
    sensitive = [layer for layer in layers if damage[layer] > limit]
    if len(sensitive) == len(layers):
        raise ModelError(
            f"static_damage_ratio {damage_ratio:g} leaves no layer to be quantised: set 1 or more"
        )
    log.info(
        "static int8: %d of %d layers stay in fp32, with more than %.2g times the median damage",
        len(sensitive),
        len(layers),
        damage_ratio,
    )
    _write_quantised(fp32, target, ranges, [layer for layer in layers if layer not in sensitive])
    return dict(sorted(damage.items(), key=lambda item: -item[1]))


class _Sentences(CalibrationDataReader):
    def __init__(self, inputs: Sequence[Inputs]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self._inputs, None)


def _calibrate(fp32: Path, calibration: Sequence[Inputs], scratch: Path) -> Any:
    calibrator = create_calibrator(
        fp32,
        list(QUANTISED),
        augmented_model_path=scratch.as_posix(),
        calibrate_method=CalibrationMethod.MinMax,
    )
    calibrator.collect_data(_Sentences(calibration))
    return calibrator.compute_data()


def _quantisable_layers(fp32: Path) -> list[str]:
    graph = onnx.load(fp32).graph
    weights = {
        initializer.name
        for initializer in graph.initializer
        if initializer.data_type == onnx.TensorProto.FLOAT and len(initializer.dims) > 1
    }
    return [
        node.name
        for node in graph.node
        if node.op_type in QUANTISED and weights.intersection(node.input)
    ]


def _write_quantised(
    fp32: Path, target: Path, ranges: Mapping[str, Any], layers: Sequence[str]
) -> None:
    quantizer = QDQQuantizer(
        onnx.load(fp32),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=list(layers),
        nodes_to_exclude=[],
        op_types_to_quantize=list(QUANTISED),
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
    )
    quantizer.quantize_model()
    quantizer.model.save_model_to_file(str(target))


def _mean_difference(
    forward: Forward, sentences: Sequence[Inputs], expected: Sequence[np.ndarray]
) -> float:
    return float(
        np.mean(
            [
                np.abs(forward(inputs) - logits).mean()
                for inputs, logits in zip(sentences, expected, strict=True)
            ]
        )
    )
