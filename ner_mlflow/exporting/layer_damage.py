"""Measure how much the quantisation of each layer changes the answers of a model."""

import ast
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ..tagging.encoding import Inputs
from ..tagging.engines import MODEL_FILE
from ..tagging.onnx_engine import onnx_forward, onnx_session
from ..tagging.tagger import Forward

SWITCHES = "quantised_layers"
"""The additional input of a switchable model."""
SCOPES = "pkg.torch.onnx.name_scopes"
"""The key under which PyTorch's exporter notes the modules that a node comes from."""
Logits = NDArray[np.float32]


def quantised_layers(fp32: onnx.ModelProto, quantised: onnx.ModelProto) -> dict[str, str]:
    """Return the layers with weights that a quantiser changed.

    Returns:
        The name of the node of each layer, in the order of the model, and the name of its module in
        PyTorch.
    """
    weights = {
        initializer.name
        for initializer in fp32.graph.initializer
        if initializer.data_type == onnx.TensorProto.FLOAT and len(initializer.dims) > 1
    }
    unchanged = {(node.name, *node.input) for node in quantised.graph.node}
    layers = [
        node
        for node in fp32.graph.node
        if weights.intersection(node.input) and (node.name, *node.input) not in unchanged
    ]
    modules = [_module(node) for node in layers]
    return {
        node.name: module if modules.count(module) == 1 else f"{module} ({node.name})".strip()
        for node, module in zip(layers, modules, strict=True)
    }


def layer_damage(
    fp32: onnx.ModelProto, quantised: onnx.ModelProto, batches: Sequence[Inputs]
) -> dict[str, float]:
    """Return the damage of each layer if it alone is quantised.

    The damage is the :func:`divergence` of the answers from those of ``fp32``.

    Returns:
        Nats for a subword, by the name of the layer's node, in descending order.
    """
    model, layers = _switchable(fp32, quantised)
    with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as folder:
        path = Path(folder) / MODEL_FILE
        onnx.save(model, path)
        forward = onnx_forward(onnx_session(path))

    def answers(switched: Collection[str]) -> list[Logits]:
        switches = np.array([layer in switched for layer in layers])
        return [forward({**inputs, SWITCHES: switches}) for inputs in batches]

    expected = answers(())
    damage = {layer: divergence(expected, answers([layer]), batches) for layer in layers}
    return dict(sorted(damage.items(), key=lambda item: -item[1]))


def answers_of(forward: Forward, batches: Sequence[Inputs]) -> list[Logits]:
    """Return the logits of each batch."""
    return [forward(inputs) for inputs in batches]


def divergence(
    expected: Sequence[Logits], answers: Sequence[Logits], batches: Sequence[Inputs]
) -> float:
    """Return the mean Kullback-Leibler divergence of tag distributions over subwords.

    Args:
        expected: the logits of the model to compare with, of shape (batch, length, labels) each.
        answers: the logits to judge.
        batches: the inputs; padding does not count.

    Returns:
        Nats for a subword; 0: the distributions are equal.
    """
    values = []
    for first, second, inputs in zip(expected, answers, batches, strict=True):
        is_subword = inputs["attention_mask"] == 1
        log_p, log_q = _log_softmax(first[is_subword]), _log_softmax(second[is_subword])
        values.append((np.exp(log_p) * (log_p - log_q)).sum(axis=-1))
    return float(np.mean(np.concatenate(values)))


def _log_softmax(logits: Logits) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return np.asarray(shifted - log_sums)


def _module(node: onnx.NodeProto) -> str:
    scopes = next((item.value for item in node.metadata_props if item.key == SCOPES), "[]")
    modules = [scope for scope in ast.literal_eval(scopes)[:-1] if scope]  # the last is the node's
    return str(modules[-1]).removeprefix("network.") if modules else node.name


def _switchable(
    fp32: onnx.ModelProto, quantised: onnx.ModelProto
) -> tuple[onnx.ModelProto, list[str]]:
    """Return a model that computes each layer in both ways and takes the one that an input says.

    The additional input holds a bool for each layer, True for 8 bits. With it, all layers are
    measured in one session, without writing and loading a file for each.
    """
    layers = list(quantised_layers(fp32, quantised))
    in_float = {node.name: node for node in fp32.graph.node if node.name in layers}
    by_output = {node.output[0]: node for node in in_float.values()}
    model = onnx.ModelProto()
    model.CopyFrom(quantised)
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes.append(node)
        if node.output[0] not in by_output:
            continue
        output = node.output[0]
        layer = onnx.NodeProto()
        layer.CopyFrom(by_output[output])
        index = numpy_helper.from_array(np.array(layers.index(layer.name)), f"{output}/index")
        node.output[0], layer.output[0] = f"{output}/int8", f"{output}/fp32"
        layer.name += "/fp32"
        graph.initializer.append(index)
        nodes += [
            layer,
            helper.make_node("Gather", [SWITCHES, index.name], [f"{output}/switch"]),
            helper.make_node(
                "Where", [f"{output}/switch", node.output[0], layer.output[0]], [output]
            ),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
    present = {initializer.name for initializer in graph.initializer}
    needed = {name for node in in_float.values() for name in node.input} - present
    graph.initializer.extend(
        initializer for initializer in fp32.graph.initializer if initializer.name in needed
    )
    graph.input.append(
        helper.make_tensor_value_info(SWITCHES, onnx.TensorProto.BOOL, [len(layers)])
    )
    return model, layers
