"""Rescaling: the answers stay the same, and 8 bits represent inputs and embeddings better."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime import InferenceSession

from ner_mlflow.exporting.rescaling import find_channel_scales, find_row_scales, rescale

CHANNELS, OUTPUTS = 12, 5


def random_rows(seed: int, outlier: float = 1.0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(40, CHANNELS)).astype(np.float32)
    rows[0, 3] *= outlier
    return rows


def random_weights(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(CHANNELS, OUTPUTS)).astype(np.float32)


def int8_error(rows: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
    """Return the mean error of a product in 8 bits, computed in integers."""
    low, high = min(0, rows.min()), max(0, rows.max())
    step = (high - low) / 255
    steps = np.abs(weights).max(axis=0) / 127
    integers = np.round((rows - low) / step) @ np.round(weights / steps)
    offsets = low / step * np.round(weights / steps).sum(axis=0)
    return float(np.abs((integers + offsets) * step * steps - rows @ weights)[1:].mean())


@pytest.fixture
def model() -> onnx.ModelProto:
    """Embeddings that two products and a sum read; a third product shares weights with one."""
    constants = {
        "table": random_rows(1, 50.0),
        "shared": random_weights(2),
        "own": random_weights(3),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], "lookup"),
        helper.make_node("MatMul", ["rows", "shared"], ["first"], "product_1"),
        helper.make_node("MatMul", ["rows", "own"], ["second"], "product_2"),
        helper.make_node("Tanh", ["rows"], ["other"], "tanh"),
        helper.make_node("MatMul", ["other", "shared"], ["third"], "product_3"),
        helper.make_node("Sum", ["first", "second", "third"], ["logits"], "sum"),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answers(model: onnx.ModelProto, output: str = "logits") -> NDArray[np.float32]:
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    observed.graph.output.append(
        helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
    )
    session = InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])
    values: NDArray[np.float32] = session.run([output], {"ids": np.arange(40).reshape(4, 10)})[0]
    return values


def test_a_rescaled_input_leaves_every_answer_as_it_was(model: onnx.ModelProto) -> None:
    factors = np.float32(2) ** np.arange(CHANNELS, dtype=np.float32)
    rescaled = rescale(model, {"rows": factors})
    np.testing.assert_array_equal(
        answers(rescaled, "rows/rescaled"), answers(model, "rows") / factors
    )
    np.testing.assert_array_equal(answers(rescaled), answers(model))


def test_only_readers_of_the_input_get_other_weights_and_unused_ones_are_dropped(
    model: onnx.ModelProto,
) -> None:
    graph = rescale(model, {"rows": np.full(CHANNELS, 2, np.float32)}).graph
    weights = {node.name: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    np.testing.assert_array_equal(constants[weights["product_1"]], 2 * random_weights(2))
    np.testing.assert_array_equal(constants[weights["product_3"]], random_weights(2))
    assert "own" not in constants


def test_embeddings_are_rounded_by_half_a_step_of_their_row_at_most(model: onnx.ModelProto) -> None:
    table = random_rows(1, 50.0)
    steps = find_row_scales(table)
    rescaled = rescale(model, {"table": steps})
    difference = np.abs(answers(rescaled, "rows").reshape(40, CHANNELS) - table)
    assert (difference <= steps / 2 * 1.001).all()
    assert {constant.name for constant in rescaled.graph.initializer}.isdisjoint({"table"})


def test_a_row_of_zeros_stays_zero(model: onnx.ModelProto) -> None:
    table = random_rows(1)
    table[5] = 0
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(table, "table"))
    rescaled = rescale(model, {"table": find_row_scales(table)})
    np.testing.assert_array_equal(answers(rescaled, "rows").reshape(40, CHANNELS)[5], 0)


@given(st.integers(0, 1000), st.sampled_from([1.0, 20.0, 500.0]))
def test_factors_are_powers_of_2_that_enlarge_no_channel(seed: int, outlier: float) -> None:
    factors = find_channel_scales(random_rows(seed, outlier), [random_weights(seed + 1)])
    if factors is not None:
        assert (factors >= 1).all()
        np.testing.assert_array_equal(np.log2(factors) % 1, 0)


@pytest.mark.parametrize("outlier", [50.0, 300.0])
def test_one_large_channel_no_longer_costs_the_others_their_precision(outlier: float) -> None:
    rows, weights = random_rows(7, outlier), random_weights(8)
    factors = find_channel_scales(rows, [weights])
    assert factors is not None
    assert int8_error(rows / factors, weights * factors[:, None]) < int8_error(rows, weights) / 2


def test_an_input_that_8_bits_represent_exactly_keeps_its_scale() -> None:
    rows = np.zeros((256, 2), np.float32)
    rows[:, 0] = np.arange(256)
    rows[:, 1] = 255 - np.arange(256)
    weights = np.array([[127, -1], [64, 127]], np.float32)
    assert find_channel_scales(rows, [weights]) is None
