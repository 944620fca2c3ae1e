"""Log models in MLflow's flavors: the served pyfunc, ONNX and transformers.

What this module does decides what a logged model is, so cache keys of the steps that log models
depend on it, unlike on the rest of tracking.
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
from ..export.bundle import REQUIREMENTS, CodeBundle
from ..export.golden import Golden, answers_alike
from ..export.model_file import read_onnx
from ..tagging.pyfunc import AS_JSON, MODEL_CONFIG
from ..tagging.recognizer import TOKENIZER_FILE
from ..tagging.tagger import TaggerSpec

GOLDEN_FILE = "golden.json"
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.string)]),
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
    """Log a whole transformers model; ``mlflow.transformers.load_model`` gives its pipeline.

    What MLflow leaves out of the folder (tokenizer, ``ner_model.json``) is put beside the weights, last ``ner_model.json``.
    """
    from transformers import (
        pipeline,  # here and not above: it takes seconds, and most commands log no such model
    )

    info = Model.log(
        artifact_path=None,  # its deprecated name of the model
        run_id=run_id,
        flavor=mlflow.transformers,
        transformers_model=pipeline(
            "token-classification", model=str(folder), device="cpu", trust_remote_code=False
        ),
        name=name,
        task="token-classification",
        pip_requirements=_pinned("mlflow", "torch", "transformers"),
    )
    client = mlflow.MlflowClient()
    kept = {
        Path(entry.path).name
        for entry in client.list_logged_model_artifacts(info.model_id, "model")
    }
    left_out = [
        file
        for file in sorted(folder.iterdir())
        if file.name not in kept and file.name != TaggerSpec.FILE
    ]
    for file in [*left_out, folder / TaggerSpec.FILE]:
        client.log_model_artifact(info.model_id, str(file), "model")
    return LoggedModel(info.model_id, info.model_uri)


def log_served_model(
    run_id: str,
    folder: Path,
    bundle: CodeBundle,
    name: str,
    golden: Golden,
    metadata: dict[str, Any],
) -> LoggedModel:
    """Log an exported folder as the pyfunc that is served, then load it again and compare its answers.

    Args:
        golden: what the model must answer; logged with it as ``artifacts/golden.json``, to be compared with wherever it is loaded.

    Raises:
        ModelError: the logged model does not load, or answers otherwise.
    """
    golden_file = bundle.entry.with_name(GOLDEN_FILE)
    golden_file.write_text(json.dumps(golden, indent=1, ensure_ascii=False), encoding="utf-8")
    with _importable(
        bundle.package.parent
    ):  # MLflow executes the entry file before it has copied the package
        info = Model.log(
            artifact_path=None,  # its deprecated name of the model
            run_id=run_id,
            flavor=mlflow.pyfunc,
            name=name,
            python_model=str(bundle.entry),
            code_paths=[str(bundle.package)],
            artifacts={"model": str(folder), "golden": str(golden_file)},
            signature=SIGNATURE,
            input_example=EXAMPLE,
            model_config=MODEL_CONFIG,
            pip_requirements=_pinned(*REQUIREMENTS),
            metadata=metadata,
        )
    try:
        model = mlflow.pyfunc.load_model(info.model_uri)
        answers = {text: model.predict([text])[0] for text in golden}
    except Exception as error:  # whatever it is, the model does not serve
        raise ModelError(
            f"the logged model {info.model_uri} does not load and answer ({type(error).__name__}: {error}): not registered"
        ) from error
    for text, expected in golden.items():
        if not answers_alike(answers[text], expected):
            raise ModelError(
                f"the logged model {info.model_uri} answers {answers[text]} to {text!r} where {expected} was proven: not registered"
            )
    return LoggedModel(info.model_id, info.model_uri)


def log_onnx_model(run_id: str, folder: Path, name: str) -> LoggedModel:
    """Log an exported folder in MLflow's ONNX flavour: ``mlflow.onnx.load_model`` gives its graph, ``mlflow.pyfunc`` its logits.

    Tokenizer and ``ner_model.json`` are beside it, as extra files.
    """
    model = read_onnx(folder)
    inputs = [TensorSpec(np.dtype("int64"), (-1, -1), value.name) for value in model.graph.input]
    labels = len(TaggerSpec.load(folder).labels)
    info = Model.log(
        artifact_path=None,  # its deprecated name of the model
        run_id=run_id,
        flavor=mlflow.onnx,
        onnx_model=model,
        name=name,
        signature=ModelSignature(
            Schema(inputs), Schema([TensorSpec(np.dtype("float32"), (-1, -1, labels), "logits")])
        ),
        pip_requirements=_pinned("mlflow", "onnx", "onnxruntime"),
        save_as_external_data=False,
        extra_files=[str(folder / file) for file in (TOKENIZER_FILE, TaggerSpec.FILE)],
    )
    return LoggedModel(info.model_id, info.model_uri)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _pinned(*names: str) -> list[str]:
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]
