"""Static int8: sensitive layers stay in fp32, and answers do not depend on the batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import ModelError
from ner_mlflow.exporting.latency import sentence_inputs
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.exporting.static_int8 import quantize_static
from ner_mlflow.modeling.checkpoint import Checkpoint
from ner_mlflow.tagging.encoding import Window, collate
from ner_mlflow.tagging.onnx_engine import onnx_forward, onnx_session

Quantize = Callable[[float], tuple[Path, dict[str, float]]]


@pytest.fixture(scope="module")
def windows(checkpoint: Checkpoint, sentences: dict[str, list[Sentence]]) -> list[Window]:
    return checkpoint.spec.encoder(checkpoint.tokenizer).windows(
        [sentence.tokens for sentence in sentences["train"][:24]]
    )


@pytest.fixture(scope="module")
def fp32(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx") / "fp32"
    write_fp32(checkpoint, folder)
    return folder / "model.onnx"


@pytest.fixture
def quantize(fp32: Path, windows: list[Window], tmp_path: Path) -> Quantize:
    def write(damage_ratio: float) -> tuple[Path, dict[str, float]]:
        target = tmp_path / f"{damage_ratio}.onnx"
        inputs = sentence_inputs(windows)
        return target, quantize_static(fp32, target, inputs, damage_ratio, tmp_path)

    return write


def float_layers(path: Path) -> set[str]:
    """Return the names of the nodes that still have a matrix of 32-bit floats as input."""
    graph = onnx.load(path).graph
    matrices = {
        weight.name
        for weight in graph.initializer
        if weight.data_type == onnx.TensorProto.FLOAT and len(weight.dims) > 1
    }
    return {node.name for node in graph.node if matrices.intersection(node.input)}


def test_damage_is_listed_for_every_layer_in_descending_order(
    fp32: Path, quantize: Quantize
) -> None:
    _, damage = quantize(1000.0)
    assert set(damage) == float_layers(fp32)
    assert list(damage.values()) == sorted(damage.values(), reverse=True)
    assert min(damage.values()) >= 0
    assert max(damage.values()) > 0


def test_exactly_the_layers_with_more_damage_than_the_limit_stay_in_fp32(
    quantize: Quantize,
) -> None:
    ratio = 1.5
    path, damage = quantize(ratio)
    limit = ratio * float(np.median(list(damage.values())))
    sensitive = {layer for layer, value in damage.items() if value > limit}
    assert 0 < len(sensitive) < len(damage)
    assert float_layers(path) == sensitive


def test_a_higher_limit_quantises_more_layers_for_fewer_bytes_and_more_difference(
    fp32: Path, windows: list[Window], quantize: Quantize
) -> None:
    expected = [onnx_forward(onnx_session(fp32))(inputs) for inputs in sentence_inputs(windows)]

    def difference(path: Path) -> float:
        forward = onnx_forward(onnx_session(path))
        return float(
            np.mean(
                [
                    np.abs(forward(inputs) - logits).mean()
                    for inputs, logits in zip(sentence_inputs(windows), expected, strict=True)
                ]
            )
        )

    (careful, _), (all_layers, _) = quantize(1.0), quantize(1000.0)
    assert float_layers(all_layers) == set()
    sizes = [path.stat().st_size for path in (all_layers, careful, fp32)]
    assert sizes == sorted(set(sizes))
    assert 0 < difference(careful) < difference(all_layers)


def test_the_logits_of_a_sentence_do_not_depend_on_the_batch(
    windows: list[Window], quantize: Quantize
) -> None:
    forward = onnx_forward(onnx_session(quantize(1000.0)[0]))
    together = forward(collate(windows, 0))
    for row, window in enumerate(windows[:8]):
        alone = forward(collate([window], 0))[0]
        np.testing.assert_allclose(together[row, : len(alone)], alone, atol=1e-4)


def test_a_limit_that_leaves_no_layer_to_quantise_is_an_error(quantize: Quantize) -> None:
    with pytest.raises(
        ModelError,
        match=r"static_damage_ratio 0\.01 leaves no layer to be quantised: set 1 or more",
    ):
        quantize(0.01)
