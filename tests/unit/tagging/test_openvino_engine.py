"""OpenVINO computes an exported file as ONNX Runtime does, from many threads at once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ner_mlflow.errors import ModelError
from ner_mlflow.tagging.encoding import Inputs
from ner_mlflow.tagging.engines import ENGINES, MODEL_FILE, write_engine
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger

OPENVINO = ENGINES["openvino"]
TEXTS = ["We run Ubuntu 22.04.", "", "The driver crashes with a segmentation fault."] * 40


def make_inputs(tiny_export: Path) -> list[Inputs]:
    generator = np.random.default_rng(0)
    inputs = []
    for shape in ((1, 3), (4, 17), (1, 48), (4, 17), (2, 9)):
        ids = generator.integers(5, 100, shape)
        mask = np.ones(shape, dtype=np.int64)
        mask[0, -1] = 0
        inputs.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids})
    return inputs


def test_its_logits_are_those_of_onnx_runtime_within_its_precision(tiny_export: Path) -> None:
    reference = ENGINES["onnxruntime"].open(tiny_export / MODEL_FILE)
    forward = OPENVINO.open(tiny_export / MODEL_FILE, threads=1, at_once=2)
    inputs = make_inputs(tiny_export)
    tolerance = {"fp32": 1e-3, "bf16": 0.1}[OPENVINO.precision]
    with ThreadPoolExecutor(4) as threads:  # more callers than it computes at once
        for values, logits in zip(inputs * 5, threads.map(forward, inputs * 5), strict=True):
            mask = values["attention_mask"] == 1
            np.testing.assert_allclose(logits[mask], reference(values)[mask], atol=tolerance)


def test_a_recognizer_answers_with_it_and_can_be_told_to_use_onnx_runtime(
    tiny_export: Path, tmp_path: Path
) -> None:
    expected = list(EntityRecognizer(load_tagger(tiny_export)).recognize(TEXTS))
    folder = Path(shutil.copytree(tiny_export, tmp_path / "onnx"))
    write_engine(folder, OPENVINO)
    answers = list(EntityRecognizer(load_tagger(folder)).recognize(TEXTS))
    # Random weights have no clear answers, so in bf16 some differ; equal texts have equal answers.
    assert len(answers) == len(TEXTS)
    assert answers[:3] * 40 == answers
    assert (
        list(EntityRecognizer(load_tagger(folder, engine="onnxruntime")).recognize(TEXTS))
        == expected
    )


def test_a_provider_of_onnx_runtime_is_refused(tiny_export: Path) -> None:
    with pytest.raises(ModelError, match="is one of ONNX Runtime's: give engine='onnxruntime'"):
        OPENVINO.open(tiny_export / MODEL_FILE, provider="CUDAExecutionProvider")


def test_a_broken_file_is_an_error_of_one_line(tiny_export: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "ner_model.json"):
        (tmp_path / name).write_bytes((tiny_export / name).read_bytes())
    (tmp_path / MODEL_FILE).write_bytes(b"no graph")
    write_engine(tmp_path, OPENVINO)
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_tagger(tmp_path)
    assert "\n" not in str(caught.value)
