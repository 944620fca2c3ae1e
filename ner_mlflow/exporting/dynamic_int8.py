"""Quantise weights to 8 bits and activations at run time, and mend the layers that this damages."""

import logging
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from ..tagging.encoding import Inputs
from ..tagging.engines import MODEL_FILE
from ..tagging.onnx_engine import onnx_forward, onnx_session
from .layer_damage import answers_of, divergence, layer_damage, quantised_layers
from .rescaling import (
    FINISHED,
    Floats,
    find_channel_scales,
    find_row_scales,
    is_lookup,
    is_product,
    rescale,
    weight_matrices,
)

log = logging.getLogger(__name__)

Item = TypeVar("Item")

LAYERS_SHARE = 2
"""One in this many batches serves to compare layers; all serve to measure the whole model."""
WORTHWHILE_SHARE = 0.5
"""Layers are rescaled only if that leaves less than this share of their damage."""
SAMPLED_SUBWORDS = 2048
"""Subwords of the calibration sentences by which factors of channels are chosen."""
INT8, RESCALED, FLOAT = "int8", "int8, rescaled", "fp32"


@dataclass(frozen=True)
class DynamicInt8:
    """What was done to quantise a model.

    Attributes:
        damage_nats: mean divergence of the tag distributions from those of fp32, per subword.
        damage_before_nats: the same with all layers quantised and none mended.
        layers: a row for each layer, the most damaging first: its name (``layer``), its damage if
            it alone is quantised, before and after mending (``damage_nats``,
            ``damage_after_nats``), and how it is computed (``computed_in``).
    """

    damage_nats: float
    damage_before_nats: float
    layers: tuple[Mapping[str, str | float], ...]

    @property
    def float_layers(self) -> tuple[str, ...]:
        """Names of the layers that stayed in fp32."""
        return self._computed_in(FLOAT)

    @property
    def rescaled_layers(self) -> tuple[str, ...]:
        """Names of the layers whose inputs, or rows of embeddings, are rescaled."""
        return self._computed_in(RESCALED)

    def _computed_in(self, way: str) -> tuple[str, ...]:
        return tuple(str(row["layer"]) for row in self.layers if row["computed_in"] == way)


def quantize_and_mend(
    fp32: Path,
    target: Path,
    calibration: Sequence[Inputs],
    batches: Sequence[Inputs],
    limit_nats: float,
) -> DynamicInt8:
    """Write a copy of a model file with 8-bit weights, and mend it if its answers change too much.

    Weights have a scale for each output channel. The damage is the divergence of the tag
    distributions from those of ``fp32`` on ``batches``. While it exceeds the limit, more layers are
    rescaled, the most damaging ones first, if that at least halves their damage. If all together
    are not enough, layers stay in fp32, as few as possible.

    Args:
        fp32: the model file.
        target: the file to write.
        calibration: inputs of one sentence each, to choose the factors of channels by.
        batches: inputs of other sentences, to measure the damage on.
        limit_nats: largest damage, in nats for a subword.
    """
    original = onnx.load(fp32)
    expected = answers_of(onnx_forward(onnx_session(fp32)), batches)

    def judge() -> float:
        """Return the damage of the file that was written last."""
        forward = onnx_forward(onnx_session(target))
        return divergence(expected, answers_of(forward, batches), batches)

    def write(rescaled: Mapping[str, Floats], in_float: Collection[str] = ()) -> float:
        """Write the model and return its damage."""
        needed = {
            tensor: values
            for tensor, values in rescaled.items()
            if not readers[tensor].issubset(in_float)
        }
        _quantize(rescale(original, needed) if needed else fp32, target, in_float)
        return judge()

    _quantize(fp32, target, ())
    before = judge()
    quantised = onnx.load(target)
    names = quantised_layers(original, quantised)
    damage = layer_damage(original, quantised, batches[::LAYERS_SHARE])
    readers: dict[str, set[str]] = defaultdict(set)
    for node in original.graph.node:
        if node.name in names:
            for tensor in node.input:
                readers[tensor].add(node.name)
    scales: Mapping[str, Floats] = {}
    in_float: list[str] = []
    after = dict(damage)
    reached = before
    if before > limit_nats:
        found = _find_scales(original, calibration, damage)
        write(found)
        rescaled = layer_damage(original, onnx.load(target), batches[::LAYERS_SHARE])
        worthwhile = {
            tensor: values
            for tensor, values in found.items()
            if sum(rescaled[layer] for layer in readers[tensor])
            < WORTHWHILE_SHARE * sum(damage[layer] for layer in readers[tensor])
        }
        scales, reached = _fewest(worthwhile, write, limit_nats)
        after |= {layer: rescaled[layer] for tensor in scales for layer in readers[tensor]}
        if reached > limit_nats:
            order = sorted(after, key=lambda layer: -after[layer])
            layers, reached = _fewest(
                dict.fromkeys(order), lambda layers: write(scales, layers), limit_nats
            )
            in_float = list(layers)
    ways = {layer: RESCALED for tensor in scales for layer in readers[tensor]}
    ways |= dict.fromkeys(in_float, FLOAT)
    result = DynamicInt8(
        reached,
        before,
        tuple(
            {
                "layer": names[layer],
                "damage_nats": value,
                "damage_after_nats": 0.0 if layer in in_float else after[layer],
                "computed_in": ways.get(layer, INT8),
            }
            for layer, value in damage.items()
        ),
    )
    log.info(
        "int8: damage %.2g nats per subword, %.2g before mending; of %d layers, "
        "%d rescaled, %d kept in fp32",
        result.damage_nats,
        result.damage_before_nats,
        len(damage),
        len(result.rescaled_layers),
        len(result.float_layers),
    )
    return result


def _fewest(
    items: Mapping[str, Item], write: Callable[[dict[str, Item]], float], limit: float
) -> tuple[dict[str, Item], float]:
    """Write with the first items, as few as keep the damage under a limit, or else with all.

    Returns:
        The items and the damage that was reached.
    """

    def first(count: int) -> dict[str, Item]:
        return dict(islice(items.items(), count))

    if not items:
        return {}, write({})
    count = bisect_left(
        range(len(items)), True, lo=1, key=lambda count: write(first(count)) <= limit
    )
    return first(count), write(first(count))  # the last attempt may have been another


def _find_scales(
    model: onnx.ModelProto, calibration: Sequence[Inputs], damage: Mapping[str, float]
) -> dict[str, Floats]:
    """Return the scales of each tensor that quantised layers read.

    Args:
        model: the model.
        calibration: inputs of one sentence each.
        damage: the damage of each layer, by the name of its node.

    Returns:
        What :func:`rescale` takes, the tensors whose layers do the most damage first. Inputs that
        are best as they are are left out.
    """
    matrices = weight_matrices(model.graph)
    totals: dict[str, float] = defaultdict(float)
    weights: dict[str, list[Floats]] = defaultdict(list)
    scales: dict[str, Floats] = {}
    for node in model.graph.node:
        if node.name not in damage:
            continue
        tensor = node.input[0]
        if is_product(node, matrices):
            weights[tensor].append(numpy_helper.to_array(matrices[node.input[1]]))
            totals[tensor] += damage[node.name]
        elif is_lookup(node, matrices):
            scales[tensor] = find_row_scales(numpy_helper.to_array(matrices[tensor]))
            totals[tensor] += damage[node.name]
    rows = _sample_rows(model, calibration, list(weights))
    for tensor, products in weights.items():
        factors = find_channel_scales(rows[tensor], products)
        if factors is not None:
            scales[tensor] = factors
    return {tensor: scales[tensor] for tensor in sorted(scales, key=lambda name: -totals[name])}


def _sample_rows(
    model: onnx.ModelProto, calibration: Sequence[Inputs], tensors: Sequence[str]
) -> dict[str, Floats]:
    """Return values of tensors, of shape (rows, channels), from the first sentences."""
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    observed.graph.output.extend(
        helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None) for tensor in tensors
    )
    with TemporaryDirectory(prefix="ner-mlflow-") as folder:
        path = Path(folder) / MODEL_FILE
        onnx.save(observed, path)
        session = onnx_session(path)
    rows: dict[str, list[Floats]] = {tensor: [] for tensor in tensors}
    subwords = 0
    for inputs in calibration:
        for tensor, values in zip(tensors, session.run(list(tensors), inputs), strict=True):
            rows[tensor].append(values.reshape(-1, values.shape[-1]))
        subwords += inputs["attention_mask"].size
        if subwords >= SAMPLED_SUBWORDS:
            break
    return {tensor: np.concatenate(values) for tensor, values in rows.items()}


def _quantize(model: Path | onnx.ModelProto, target: Path, in_float: Collection[str]) -> None:
    root = logging.getLogger()
    level = root.level
    # The quantiser logs, on the root logger, advice to preprocess that the exporter has followed.
    root.setLevel(logging.ERROR)
    try:
        quantize_dynamic(
            model,
            target,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=[*in_float, *_finished(model)],
        )
    finally:
        root.setLevel(level)


def _finished(model: Path | onnx.ModelProto) -> list[str]:
    if isinstance(model, Path):
        return []
    return [node.name for node in model.graph.node if node.name.endswith(FINISHED)]
