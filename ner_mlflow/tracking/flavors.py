"""Log models in MLflow's flavors: the served pyfunc, ONNX and transformers.

This module determines the content of logged models. The cache keys of the steps that log models
therefore depend on it, but not on the rest of tracking.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import (
    Array,
    ColSpec,
    DataType,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)

from ..errors import ModelError
from ..exporting.bundle import REQUIREMENTS, CodeBundle
from ..exporting.golden import GoldenAnswers, answers_match
from ..redaction import one_line
from ..tagging.pyfunc import AS_JSON, MODEL_CONFIG
from ..tagging.recognizer import TOKENIZER_FILE
from ..tagging.tagger import TaggerSpec

GOLDEN_FILE = "golden.json"
SIGNATURE = ModelSignature(  # without inputs: see tagging/pyfunc.py
    outputs=Schema(
        [
            ColSpec(
                Array(
                    Object(
                        [
                            Property("text", DataType.string),
                            Property("label", DataType.string),
                            Property("start", DataType.long),
                            Property("end", DataType.long),
                            Property("score", DataType.double),
                        ]
                    )
                )
            )
        ]
    ),
    params=ParamSchema([ParamSpec(AS_JSON, DataType.boolean, False)]),
)
EXAMPLE = [
    "After the upgrade to Ubuntu 22.04 the NVIDIA driver crashes with a segmentation fault.",
    "PostgreSQL 15.3 runs on my Raspberry Pi 4.",
]


@dataclass(frozen=True)
class LoggedModel:
    """A model in the tracking store; ``uri`` is ``models:/<id>``."""

    id: str
    uri: str


def log_transformers_model(run_id: str, folder: Path, name: str) -> LoggedModel:
    """Log a full transformers model; ``mlflow.transformers.load_model`` returns its pipeline.

    The files of the folder that MLflow does not log (tokenizer, ``ner_model.json``) are added
    beside the weights, ``ner_model.json`` last.
    """
    # Here: the import takes seconds, and most commands log no such model.
    from transformers import pipeline

    info = Model.log(
        artifact_path=None,  # its deprecated name of the model
        run_id=run_id,
        flavor=mlflow.transformers,
        transformers_model=pipeline(
            "token-classification", model=str(folder), device="cpu", trust_remote_code=False
        ),
        name=name,
        task="token-classification",
        pip_requirements=_pin_versions("mlflow", "torch", "transformers"),
    )
    client = mlflow.MlflowClient()
    logged = {
        Path(entry.path).name
        for entry in client.list_logged_model_artifacts(info.model_id, "model")
    }
    missing = [
        file
        for file in sorted(folder.iterdir())
        if file.name not in logged and file.name != TaggerSpec.FILE
    ]
    for file in [*missing, folder / TaggerSpec.FILE]:
        client.log_model_artifact(info.model_id, str(file), "model")
    return LoggedModel(info.model_id, info.model_uri)


def log_served_model(
    run_id: str,
    folder: Path,
    bundle: CodeBundle,
    name: str,
    golden: GoldenAnswers,
    metadata: dict[str, Any],
) -> LoggedModel:
    """Log an exported folder as the pyfunc to serve, then load it and compare its answers.

    Args:
        run_id: the id of the run that logs the model.
        folder: the exported files.
        bundle: the code that the model runs on.
        name: name of the logged model.
        golden: the answers that the model must give. They are logged as ``artifacts/golden.json``,
            so that they can be compared wherever the model is loaded.
        metadata: values to log with the model.

    Raises:
        ModelError: the logged model does not load, or its answers differ.
    """
    golden_file = bundle.entry.with_name(GOLDEN_FILE)
    golden_file.write_text(json.dumps(golden, indent=1, ensure_ascii=False), encoding="utf-8")
    # MLflow executes the entry file before it copies the package.
    with _import_path(bundle.package.parent):
        info = Model.log(
            artifact_path=None,
            run_id=run_id,
            flavor=mlflow.pyfunc,
            name=name,
            python_model=str(bundle.entry),
            code_paths=[str(bundle.package)],
            artifacts={"model": str(folder), "golden": str(golden_file)},
            signature=SIGNATURE,
            input_example=EXAMPLE,
            model_config=MODEL_CONFIG,
            pip_requirements=_pin_versions(*REQUIREMENTS),
            metadata=metadata,
        )
    try:
        model = mlflow.pyfunc.load_model(info.model_uri)
        answers = {text: model.predict([text])[0] for text in golden}
    except Exception as error:  # after any error the model cannot serve
        raise ModelError(
            f"the logged model {info.model_uri} does not load and answer "
            f"({type(error).__name__}: {one_line(error)}): not registered"
        ) from error
    for text, expected in golden.items():
        if not answers_match(answers[text], expected):
            raise ModelError(
                f"the logged model {info.model_uri} answers {answers[text]} to {text!r}, "
                f"but {expected} was proven: not registered"
            )
    return LoggedModel(info.model_id, info.model_uri)


def log_onnx_model(run_id: str, model: Any, folder: Path, name: str) -> LoggedModel:
    """Log an exported model in MLflow's ONNX flavor.

    ``mlflow.onnx.load_model`` returns its graph, ``mlflow.pyfunc`` its logits. The tokenizer and
    ``ner_model.json`` are logged as extra files.

    Args:
        run_id: the id of the run that logs the model.
        model: the ``onnx.ModelProto`` of the folder.
        folder: the exported files.
        name: name of the logged model.
    """
    inputs = [TensorSpec(np.dtype("int64"), (-1, -1), value.name) for value in model.graph.input]
    labels = len(TaggerSpec.load(folder).labels)
    info = Model.log(
        artifact_path=None,
        run_id=run_id,
        flavor=mlflow.onnx,
        onnx_model=model,
        name=name,
        signature=ModelSignature(
            Schema(inputs), Schema([TensorSpec(np.dtype("float32"), (-1, -1, labels), "logits")])
        ),
        pip_requirements=_pin_versions("mlflow", "onnx", "onnxruntime"),
        save_as_external_data=False,
        extra_files=[str(folder / file) for file in (TOKENIZER_FILE, TaggerSpec.FILE)],
    )
    return LoggedModel(info.model_id, info.model_uri)


@contextmanager
def _import_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _pin_versions(*names: str) -> list[str]:
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]
