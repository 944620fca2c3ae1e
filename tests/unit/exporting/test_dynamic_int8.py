"""Dynamic int8: layers that quantisation damages are mended, and no others."""

import copy
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.prepare import prepare
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.evaluation.scores import score_tagger
from ner_mlflow.exporting.dynamic_int8 import DynamicInt8, quantize_and_mend
from ner_mlflow.exporting.latency import sentence_inputs
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.exporting.variants import write_int8_variant
from ner_mlflow.modeling.checkpoint import Checkpoint, load_model
from ner_mlflow.tagging.onnx_engine import onnx_forward, onnx_session
from ner_mlflow.tagging.recognizer import load_tagger

OUTLIER = 400.0
TRAINED = Path(os.environ.get("NER_TRAINED_MODEL", "absent"))
CORPUS = Path(__file__).parents[4] / "shared" / "data" / "stackoverflow-ner"
Mend = Callable[[Path, float], tuple[Path, DynamicInt8]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def fp32(checkpoint: Checkpoint, folder: Path) -> Path:
    write_fp32(checkpoint, folder / "fp32")
    return folder / "fp32" / "model.onnx"


@pytest.fixture(scope="module")
def outlier(checkpoint: Checkpoint, folder: Path) -> Path:
    """The same answers, but one channel of a feed-forward layer is far larger than the others."""
    network = copy.deepcopy(checkpoint.network)
    first, second = (
        network.get_submodule(f"bert.encoder.layer.0.{name}.dense")
        for name in ("intermediate", "output")
    )
    with torch.no_grad():
        first.weight[0] = 0.0
        first.bias[0] = OUTLIER  # GELU returns it
        second.bias -= OUTLIER * second.weight[:, 0]
        second.bias += torch.nn.functional.gelu(torch.zeros(1)) * second.weight[:, 0]
    write_fp32(Checkpoint(network, checkpoint.tokenizer, checkpoint.spec), folder / "outlier")
    return folder / "outlier" / "model.onnx"


@pytest.fixture
def mend(checkpoint: Checkpoint, sentences: dict[str, list[Sentence]], tmp_path: Path) -> Mend:
    encoder = checkpoint.spec.encoder(checkpoint.tokenizer)
    calibration, judged = (
        sentence_inputs(encoder.windows([sentence.tokens for sentence in sentences[split][:16]]))
        for split in ("train", "validation")
    )

    def write(path: Path, limit_nats: float) -> tuple[Path, DynamicInt8]:
        target = tmp_path / f"{limit_nats}.onnx"
        return target, quantize_and_mend(path, target, calibration, judged, limit_nats)

    return write


def test_a_model_within_the_limit_is_quantised_exactly_as_onnx_runtime_does(
    fp32: Path, mend: Mend, tmp_path: Path
) -> None:
    path, int8 = mend(fp32, 1.0)
    quantize_dynamic(fp32, tmp_path / "plain.onnx", weight_type=QuantType.QInt8, per_channel=True)
    assert path.read_bytes() == (tmp_path / "plain.onnx").read_bytes()
    assert int8.float_layers == int8.rescaled_layers == ()
    assert int8.damage_nats == int8.damage_before_nats > 0
    assert {row["computed_in"] for row in int8.layers} == {"int8"}
    damage = [row["damage_nats"] for row in int8.layers]
    assert damage == sorted(damage, reverse=True)
    assert len(damage) == 16


def test_the_layer_with_an_outlier_is_found_and_rescaled_and_none_stays_in_fp32(
    outlier: Path, mend: Mend
) -> None:
    plain = mend(outlier, 1000.0)[1]
    assert plain.layers[0]["layer"] == "bert.encoder.layer.0.output.dense"
    limit = plain.damage_nats / 10
    path, int8 = mend(outlier, limit)
    assert int8.damage_before_nats == plain.damage_nats
    assert int8.damage_nats <= limit
    assert int8.float_layers == ()
    assert int8.rescaled_layers[0] == "bert.encoder.layer.0.output.dense"
    assert int8.layers[0]["damage_after_nats"] < float(int8.layers[0]["damage_nats"]) / 10
    assert not any(
        constant.data_type == onnx.TensorProto.FLOAT and constant.dims[1] > 1
        for constant in onnx.load(path).graph.initializer
        if len(constant.dims) == 2
    )


def test_layers_stay_in_fp32_where_rescaling_is_not_enough_and_they_are_named(
    fp32: Path, mend: Mend
) -> None:
    enough = mend(fp32, 1000.0)[1]
    limit = enough.damage_nats / 20
    _, int8 = mend(fp32, limit)
    assert int8.damage_nats <= limit
    assert 0 < len(int8.float_layers) < 16
    for row in int8.layers:
        if row["layer"] in int8.float_layers:
            assert (row["computed_in"], row["damage_after_nats"]) == ("fp32", 0)


def test_a_limit_of_zero_keeps_every_layer_in_fp32(fp32: Path, mend: Mend) -> None:
    path, int8 = mend(fp32, 0.0)
    assert int8.damage_nats == pytest.approx(0, abs=1e-9)
    assert len(int8.float_layers) >= 15
    inputs = {name: np.ones((2, 7), np.int64) for name in ("input_ids", "attention_mask")}
    expected, answers = (onnx_forward(onnx_session(file))(inputs) for file in (fp32, path))
    np.testing.assert_allclose(answers, expected, atol=1e-2)


@pytest.mark.slow
@pytest.mark.skipif(not TRAINED.is_dir(), reason="NER_TRAINED_MODEL names no folder of a model")
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS}")
def test_a_real_model_loses_little_f1_in_int8(tmp_path: Path) -> None:
    config = load_config(overrides={"data.dataset": str(CORPUS)})
    corpus = prepare(read_corpus(config.data).corpus, config.data).corpus
    trained = load_model(TRAINED)
    write_fp32(trained, tmp_path / "fp32")
    int8 = write_int8_variant(
        trained,
        tmp_path / "fp32",
        tmp_path / "int8",
        corpus["train"],
        corpus["validation"],
        config.export,
    )
    assert int8.damage_nats <= config.export.int8_damage_limit
    fp32_f1, int8_f1 = (
        score_tagger(load_tagger(tmp_path / name), corpus["validation"])["f1"]
        for name in ("fp32", "int8")
    )
    assert fp32_f1 - int8_f1 < config.export.f1_tolerance
