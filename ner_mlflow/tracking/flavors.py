"""Log models in MLflow's flavors: pyfunc, trained or served, and ONNX.

This module determines the content of logged models. The cache keys of the steps that log models
therefore depend on it, but not on the rest of tracking.
"""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
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
from ..exporting.bundle import (
    TRAINED_MODULE,
    TRAINED_REQUIREMENTS,
    CodeBundle,
    served_requirements,
    write_code_bundle,
)
from ..exporting.golden import GoldenAnswers, answers_match
from ..redaction import one_line
from ..tagging.engines import engine_of
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


def model_name(*parts: str) -> str:
    """Return the name of a logged model: its parts that are not empty, as MLflow takes names."""
    return re.sub(r"[/:.%\"'\s]+", "_", "-".join(filter(None, parts)))


def log_trained_model(run_id: str, folder: Path, name: str) -> LoggedModel:
    """Log a PyTorch model as a pyfunc that answers as the served model does.

    It is not logged in the transformers flavor, whose pipeline answers differently: on 60 texts its
    F1 was 0.05, and 0.87 with the aggregation ``first``, where the served model's was 1.
    transformers loads the weights from ``artifacts/model`` of the logged model.

    Args:
        run_id: the id of the run that logs the model.
        folder: the model's files.
        name: name of the logged model.
    """
    with TemporaryDirectory() as temporary:
        bundle = write_code_bundle(Path(temporary), TRAINED_MODULE)
        with _import_path(bundle.package.parent):
            info = Model.log(
                artifact_path=None,  # its deprecated name of the model
                run_id=run_id,
                flavor=mlflow.pyfunc,
                name=name,
                python_model=str(bundle.entry),
                code_paths=[str(bundle.package)],
                artifacts={"model": str(folder)},
                signature=SIGNATURE,
                input_example=EXAMPLE,
                pip_requirements=_pin_versions(*TRAINED_REQUIREMENTS),
            )
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
            pip_requirements=_pin_versions(*served_requirements(engine_of(folder))),
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
