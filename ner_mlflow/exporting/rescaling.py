"""Rescale the layers of a model, so that 8 bits represent them well.

In some encoders one channel of a product's input is a hundred times as large as the others. One
scale for the whole input then rounds the others to a few steps. Here the input is divided by a
factor for each channel, and the rows of the weights are multiplied by it: the product stays the
same, and both sides fit 8 bits (SmoothQuant, Xiao et al. 2023, https://arxiv.org/abs/2211.10438).
A table of embeddings gets a scale for each row in place of one for all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Floats = NDArray[np.float32]

CLIPPING_QUANTILES = (0.25, 0.5, 0.9, 0.99, 0.998)
"""Channels larger than one of these quantiles of all channels are reduced to it."""
MIGRATION_STRENGTHS = (0.5, 0.7)
"""SmoothQuant's alpha: the share of the range that moves from the inputs to the weights."""
SMALLEST_RANGE = 1e-6
FINISHED = "/int8"
"""The end of the names of nodes that need no quantiser any more."""
JUDGED_ROWS = 512
"""Rows of a sample on which candidates are compared."""


def find_channel_scales(inputs: Floats, weights: Sequence[Floats]) -> Floats | None:
    """Return the factors by which to divide the channels of an input before it is quantised.

    Of several candidates, those are taken that give the least error of the products. Factors are
    powers of 2, so that neither the input nor the weights are rounded by them.

    Args:
        inputs: sampled rows of the input, of shape (rows, channels).
        weights: the matrices that it is multiplied by, each of shape (channels, outputs).

    Returns:
        Factors of shape (channels,), or None if the products are best without.
    """
    # A whole sample would take minutes; ranges come from all rows.
    judged = inputs[:: max(1, len(inputs) // JUDGED_ROWS)]
    best, least_error = None, _error(judged, weights)
    for scales in _candidates(inputs, weights):
        error = _error(judged / scales, [weight * scales[:, None] for weight in weights])
        if error < least_error:
            best, least_error = scales, error
    return best


def find_row_scales(table: Floats) -> Floats:
    """Return the step of each row of a table of embeddings, of shape (rows, 1)."""
    steps = np.abs(table).max(1, keepdims=True) / 127
    steps[steps == 0] = 1
    return np.asarray(steps, np.float32)


def rescale(model: onnx.ModelProto, scales: Mapping[str, Floats]) -> onnx.ModelProto:
    """Return a copy of a model with other scales in some layers.

    An input of matrix products is divided by a factor for each channel, and the weights of these
    products are multiplied by it. A table of embeddings becomes 8-bit rows, each with a step. Nodes
    keep their names, so that a quantiser can find them; those that it must leave as they are have
    names that end in :data:`FINISHED`.

    Args:
        model: the model. The answers stay the same except that embeddings are rounded.
        scales: by the name of the tensor, factors of shape (channels,) for an input of products, or
            steps of shape (rows, 1) for a table of embeddings.
    """
    rescaled = onnx.ModelProto()
    rescaled.CopyFrom(model)
    graph = rescaled.graph
    matrices = weight_matrices(graph)
    added: dict[str, onnx.TensorProto | onnx.NodeProto] = {}
    nodes: list[onnx.NodeProto] = []

    def add_constant(name: str, values: NDArray[Any]) -> str:
        if name not in added:
            added[name] = numpy_helper.from_array(values, name)
            graph.initializer.append(added[name])
        return name

    for node in graph.node:
        if is_product(node, matrices) and node.input[0] in scales:
            tensor, weights = node.input[0], numpy_helper.to_array(matrices[node.input[1]])
            factors, quotient = scales[tensor], f"{tensor}/rescaled"
            if quotient not in added:
                inverse = add_constant(f"{tensor}/factors", 1 / factors)
                added[quotient] = helper.make_node("Mul", [tensor, inverse], [quotient], quotient)
                nodes.append(added[quotient])
            # Under a name of its own: another node may read the same weights.
            product = add_constant(f"{node.name}/weight", weights * factors[:, None])
            node.input[:] = [quotient, product]
        elif is_lookup(node, matrices) and node.input[0] in scales:
            table, indices, output = node.input[0], node.input[1], node.output[0]
            steps = scales[table]
            rounded = np.round(numpy_helper.to_array(matrices[table]) / steps).astype(np.int8)
            names = [f"{output}/{part}" for part in ("row", "number", "step")]
            nodes += [
                helper.make_node(
                    "Gather",
                    [add_constant(f"{table}/rows", rounded), indices],
                    names[:1],
                    f"{names[0]}{FINISHED}",
                ),
                helper.make_node("Cast", names[:1], names[1:2], to=onnx.TensorProto.FLOAT),
                helper.make_node(
                    "Gather",
                    [add_constant(f"{table}/steps", steps), indices],
                    names[2:],
                    f"{names[2]}{FINISHED}",
                ),
            ]
            node = helper.make_node("Mul", names[1:], [output], node.name)
        nodes.append(node)
    _replace(graph.node, nodes)
    used = {name for node in nodes for name in node.input}
    _replace(
        graph.initializer, [constant for constant in graph.initializer if constant.name in used]
    )
    return rescaled


def weight_matrices(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the constants of a graph that are matrices of 32-bit floats, by name."""
    return {
        initializer.name: initializer
        for initializer in graph.initializer
        if initializer.data_type == onnx.TensorProto.FLOAT and len(initializer.dims) == 2
    }


def is_product(node: onnx.NodeProto, matrices: Mapping[str, onnx.TensorProto]) -> bool:
    """Return whether a node multiplies a computed tensor by a matrix of weights."""
    return node.op_type == "MatMul" and node.input[1] in matrices and node.input[0] not in matrices


def is_lookup(node: onnx.NodeProto, matrices: Mapping[str, onnx.TensorProto]) -> bool:
    """Return whether a node takes rows of a table of embeddings."""
    return (
        node.op_type == "Gather"
        and node.input[0] in matrices
        and all(attribute.i == 0 for attribute in node.attribute)
    )


def _replace(field: Any, values: Iterable[Any]) -> None:
    del field[:]
    field.extend(values)


def _candidates(inputs: Floats, weights: Sequence[Floats]) -> Iterable[Floats]:
    input_ranges = np.maximum(np.abs(inputs).max(0), SMALLEST_RANGE)
    weight_ranges = np.max([np.abs(weight).max(1) for weight in weights], axis=0)
    weight_ranges = np.maximum(weight_ranges, SMALLEST_RANGE)
    for limit in np.quantile(input_ranges, CLIPPING_QUANTILES):
        yield _factors(input_ranges / limit)
    for alpha in MIGRATION_STRENGTHS:
        ratios = input_ranges**alpha / weight_ranges ** (1 - alpha)
        yield _factors(ratios / np.median(ratios))


def _factors(ratios: NDArray[np.floating]) -> Floats:
    """Return powers of 2 that are at least 1.

    A channel that is small in the sample must not be enlarged: it may be large in other texts.
    """
    return np.asarray(np.exp2(np.round(np.log2(np.maximum(1, ratios)))), np.float32)


def _error(inputs: Floats, weights: Sequence[Floats]) -> float:
    """Return the mean over rows and products of the squared error in 8 bits, relative to the row.

    Relative, because a few rows are very large and the layer norm that follows makes rows equal.
    """
    rounded = _round_inputs(inputs)
    errors = []
    for weight in weights:
        exact = inputs @ weight
        squares = np.maximum((exact**2).sum(1), SMALLEST_RANGE)
        errors.append((((rounded @ _round_weights(weight)) - exact) ** 2).sum(1) / squares)
    return float(np.mean(errors))


def _round_inputs(inputs: Floats) -> Floats:
    """Round as DynamicQuantizeLinear does: unsigned 8 bits, one scale for all."""
    low, high = min(0.0, float(inputs.min())), max(0.0, float(inputs.max()))
    step = np.float32((high - low) / 255 or 1)
    zero = np.round(-low / step)
    return (np.clip(np.round(inputs / step) + zero, 0, 255) - zero) * step


def _round_weights(weights: Floats) -> Floats:
    """Round to signed 8 bits with a scale for each output channel."""
    steps = np.abs(weights).max(0) / 127
    steps[steps == 0] = 1
    return np.asarray(np.round(weights / steps) * steps)
