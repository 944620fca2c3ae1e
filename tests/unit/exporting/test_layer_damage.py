"""Damage of layers: what a switch measures is what a file with one quantised layer shows."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnxruntime.quantization import QuantType, quantize_dynamic

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.exporting.latency import sentence_inputs
from ner_mlflow.exporting.layer_damage import (
    answers_of,
    divergence,
    layer_damage,
    quantised_layers,
)
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.modeling.checkpoint import Checkpoint
from ner_mlflow.tagging.encoding import Inputs
from ner_mlflow.tagging.onnx_engine import onnx_forward, onnx_session


@pytest.fixture(scope="module")
def batches(checkpoint: Checkpoint, sentences: dict[str, list[Sentence]]) -> list[Inputs]:
    windows = checkpoint.spec.encoder(checkpoint.tokenizer).windows(
        [sentence.tokens for sentence in sentences["validation"][:6]]
    )
    return sentence_inputs(windows)


@pytest.fixture(scope="module")
def files(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("onnx")
    write_fp32(checkpoint, folder / "fp32")
    fp32, int8 = folder / "fp32" / "model.onnx", folder / "int8.onnx"
    quantize_dynamic(fp32, int8, weight_type=QuantType.QInt8, per_channel=True)
    return fp32, int8


def test_layers_are_the_embeddings_and_products_with_weights_under_the_names_of_their_modules(
    files: tuple[Path, Path],
) -> None:
    names = list(quantised_layers(*map(onnx.load, files)).values())
    assert len(names) == len(set(names)) == 3 + 2 * 6 + 1
    assert "bert.embeddings.word_embeddings" in names
    assert "bert.encoder.layer.1.attention.self.value" in names
    assert "bert.encoder.layer.0.output.dense" in names
    assert "classifier" in names


def test_the_damage_of_a_layer_is_that_of_a_file_in_which_it_alone_is_quantised(
    files: tuple[Path, Path], batches: list[Inputs], tmp_path: Path
) -> None:
    fp32, int8 = files
    damage = layer_damage(onnx.load(fp32), onnx.load(int8), batches)
    assert set(damage) == set(quantised_layers(onnx.load(fp32), onnx.load(int8)))
    assert list(damage.values()) == sorted(damage.values(), reverse=True)
    expected = answers_of(onnx_forward(onnx_session(fp32)), batches)
    layers = list(damage)
    for layer in (layers[0], layers[len(layers) // 2]):
        alone = tmp_path / f"{layer}.onnx"
        quantize_dynamic(
            fp32, alone, weight_type=QuantType.QInt8, per_channel=True, nodes_to_quantize=[layer]
        )
        answers = answers_of(onnx_forward(onnx_session(alone)), batches)
        assert damage[layer] == pytest.approx(
            divergence(expected, answers, batches), rel=0.05, abs=1e-9
        )


@given(st.integers(0, 1000))
def test_divergence_is_zero_for_equal_answers_positive_for_others_and_blind_to_padding(
    seed: int,
) -> None:
    generator = np.random.default_rng(seed)
    mask = np.array([[1, 1, 1], [1, 0, 0]])
    batches = [{"input_ids": mask, "attention_mask": mask}]
    first, second = generator.normal(size=(2, 2, 3, 4)).astype(np.float32)
    assert divergence([first], [first], batches) == 0
    assert divergence([first], [first + 7], batches) == pytest.approx(0, abs=1e-6)
    padded = first.copy()
    padded[1, 1:] = second[1, 1:]
    assert divergence([first], [padded], batches) == 0
    assert divergence([first], [second], batches) > 0
