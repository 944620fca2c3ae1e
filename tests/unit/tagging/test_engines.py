"""Engines: a model's folder names the library that computes it, and what is missing is named."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from ner_mlflow.config import schema
from ner_mlflow.errors import ModelError
from ner_mlflow.tagging.encoding import Inputs
from ner_mlflow.tagging.engines import (
    DEFAULT,
    ENGINE_FILE,
    ENGINES,
    BatchThreads,
    Engine,
    engine_of,
    find_engine,
    forward_of_callers,
    write_engine,
)
from ner_mlflow.tagging.tagger import Forward


def test_the_settings_name_the_engines_that_there_are() -> None:
    assert get_args(schema.Engine) == tuple(ENGINES)
    for engine in ENGINES.values():
        assert set(engine.variants) <= set(get_args(schema.Variant))


def test_a_folder_names_its_engine_and_without_a_name_it_is_onnx_runtime(tmp_path: Path) -> None:
    assert engine_of(tmp_path) is ENGINES[DEFAULT]
    for engine in ENGINES.values():
        write_engine(tmp_path, engine)
        assert engine_of(tmp_path) is engine


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "engine.json: broken: export the model again"),
        ("[]", "engine.json: broken"),
        ("{}", "engine.json: broken"),
        ("\udcff", "engine.json: broken"),
        ('{"engine": "abacus"}', "engine 'abacus' is unknown: use one of onnxruntime, openvino"),
        ('{"engine": ["openvino"]}', "is unknown: use one of"),
    ],
)
def test_a_broken_name_is_an_error_of_one_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / ENGINE_FILE).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError) as caught:
        engine_of(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_engine_that_is_not_installed_says_how_to_install_it() -> None:
    engine = Engine("an_absent_library", "onnx_engine", 256)
    with pytest.raises(
        ModelError,
        match=r"^engine 'an_absent_library' is not installed: pip install an_absent_library, or "
        r"use the engine 'onnxruntime'$",
    ):
        engine.open(Path("model.onnx"))


def test_an_engine_whose_code_a_model_does_not_carry_says_how_to_export() -> None:
    engine = Engine("json", "absent_engine", 256)
    with pytest.raises(ModelError, match=r"does not come with this model: export it with .*,json"):
        engine.open(Path("model.onnx"))


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(ModelError, match="engine 'abacus' is unknown"):
        find_engine("abacus")


def test_importing_the_engines_imports_no_optional_one() -> None:
    code = "import sys, ner_mlflow.tagging.recognizer; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "onnxruntime" in loaded
    assert not (set(ENGINES) - {DEFAULT}) & set(loaded)


def test_batches_are_computed_by_several_threads_that_open_the_model_once() -> None:
    opened: list[int] = []
    together = threading.Barrier(2, timeout=10)

    def open_forward() -> Forward:
        opened.append(1)

        def forward(inputs: Inputs) -> NDArray[np.float32]:
            together.wait()
            return inputs["input_ids"].astype(np.float32)

        return forward

    threads = BatchThreads(open_forward, workers=2)
    assert opened == []
    futures = [
        threads.submit(
            lambda forward, value=value: [forward({"input_ids": np.full((1, 1), value)})]
        )
        for value in range(4)
    ]
    assert [float(future.result()[0][0, 0]) for future in futures] == [0, 1, 2, 3]
    assert opened == [1]


def test_a_second_caller_does_not_wait_for_the_cores_of_the_first() -> None:
    begun, answered = threading.Event(), threading.Event()

    def on_all_cores(inputs: Inputs) -> NDArray[np.float32]:
        begun.set()
        assert answered.wait(20)
        return np.zeros(inputs["input_ids"].shape, dtype=np.float32)

    def on_one_core(inputs: Inputs) -> NDArray[np.float32]:
        return np.ones(inputs["input_ids"].shape, dtype=np.float32)

    forward = forward_of_callers(on_all_cores, BatchThreads(lambda: on_one_core, 2))
    inputs = {"input_ids": np.zeros((1, 3), dtype=np.int64)}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(forward, inputs)
        assert begun.wait(20)
        assert forward(inputs).tolist() == [[1, 1, 1]]
        answered.set()
        assert first.result().tolist() == [[0, 0, 0]]
    assert forward(inputs).tolist() == [[0, 0, 0]]
