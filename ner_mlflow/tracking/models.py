"""Models in the tracking store and the registry: log, find by address, register once proven."""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, Object, ParamSchema, ParamSpec, Property, Schema, TensorSpec

from ..errors import ModelError, TrackingError
from ..export.bundle import REQUIREMENTS, CodeBundle
from ..export.golden import Golden, answers_alike
from ..export.model_file import read_onnx
from ..provenance import cache_key, file_sha256
from ..serving.pyfunc import AS_JSON, MODEL_CONFIG
from ..serving.recognizer import TOKENIZER_FILE
from ..tagger import TaggerSpec
from .runs import download, read_tags

log = logging.getLogger(__name__)

MODEL_URI_TAG = "model_uri"
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
EXAMPLE = ["After the upgrade to Ubuntu 22.04 the NVIDIA driver crashes with a segmentation fault.", "PostgreSQL 15.3 runs on my Raspberry Pi 4."]


@dataclass(frozen=True)
class LoggedModel:
    """A model in the tracking store; ``uri`` is ``models:/<id>``."""

    id: str
    uri: str


@dataclass(frozen=True)
class FoundModel:
    """A model on this disk: its folder with ``ner_model.json``, and the address, logged model and run it came from."""

    folder: Path
    address: str
    model_id: str | None = None
    run_id: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the names and the content of its files."""
        return cache_key(f"{path.name} {file_sha256(path)}" for path in sorted(self.folder.iterdir()) if path.is_file())

    @property
    def is_onnx(self) -> bool:
        """Whether it is an exported model, not a PyTorch one."""
        return (self.folder / "model.onnx").is_file()


def log_transformers_model(folder: Path, name: str) -> LoggedModel:
    """Log a whole transformers model; ``mlflow.transformers.load_model`` gives its pipeline.

    What MLflow leaves out of the folder (tokenizer, ``ner_model.json``) is put beside the weights, last ``ner_model.json``.
    """
    from transformers import pipeline  # here and not above: it takes seconds, and most commands log no such model

    info = mlflow.transformers.log_model(
        pipeline("token-classification", model=str(folder), device="cpu", trust_remote_code=False),
        name=name,
        task="token-classification",
        pip_requirements=_pinned("mlflow", "torch", "transformers"),
    )
    client = mlflow.MlflowClient()
    kept = {Path(entry.path).name for entry in client.list_logged_model_artifacts(info.model_id, "model")}
    left_out = [file for file in sorted(folder.iterdir()) if file.name not in kept and file.name != TaggerSpec.FILE]
    for file in [*left_out, folder / TaggerSpec.FILE]:
        client.log_model_artifact(info.model_id, str(file), "model")
    return LoggedModel(info.model_id, info.model_uri)


def log_served_model(folder: Path, bundle: CodeBundle, name: str, golden: Golden, metadata: dict[str, Any]) -> LoggedModel:
    """Log an exported folder as the pyfunc that is served, then load it again and compare its answers.

    Args:
        golden: what the model must answer; logged with it as ``artifacts/golden.json``, to be compared with wherever it is loaded.

    Raises:
        ModelError: the logged model does not load, or answers otherwise.
    """
    golden_file = bundle.entry.with_name(GOLDEN_FILE)
    golden_file.write_text(json.dumps(golden, indent=1, ensure_ascii=False), encoding="utf-8")
    with _importable(bundle.package.parent):  # MLflow executes the entry file before it has copied the package
        info = mlflow.pyfunc.log_model(
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
        raise ModelError(f"the logged model {info.model_uri} does not load and answer ({type(error).__name__}: {error}): not registered") from error
    for text, expected in golden.items():
        if not answers_alike(answers[text], expected):
            raise ModelError(f"the logged model {info.model_uri} answers {answers[text]} to {text!r} where {expected} was proven: not registered")
    return LoggedModel(info.model_id, info.model_uri)


def log_onnx_model(folder: Path, name: str) -> LoggedModel:
    """Log an exported folder in MLflow's ONNX flavour: ``mlflow.onnx.load_model`` gives its graph, ``mlflow.pyfunc`` its logits.

    Tokenizer and ``ner_model.json`` are beside it, as extra files.
    """
    model = read_onnx(folder)
    inputs = [TensorSpec(np.dtype("int64"), (-1, -1), value.name) for value in model.graph.input]
    labels = len(TaggerSpec.load(folder).labels)
    info = mlflow.onnx.log_model(
        model,
        name=name,
        signature=ModelSignature(Schema(inputs), Schema([TensorSpec(np.dtype("float32"), (-1, -1, labels), "logits")])),
        pip_requirements=_pinned("mlflow", "onnx", "onnxruntime"),
        save_as_external_data=False,
        extra_files=[str(folder / file) for file in (TOKENIZER_FILE, TaggerSpec.FILE)],
    )
    return LoggedModel(info.model_id, info.model_uri)


def find_model(address: str) -> FoundModel:
    """The model at a run id, ``runs:/ID[/PATH]``, ``models:/...`` or a folder.

    Raises:
        TrackingError: no run or model there.
        ModelError: what is there is not a model of this platform.
    """
    if Path(address).is_dir():
        return FoundModel(_model_folder(Path(address)), address)
    uri = address
    if re.fullmatch(r"[0-9a-f]{32}", address) or re.fullmatch(r"runs:/[0-9a-f]{32}/?", address):
        run_id = address.removeprefix("runs:/").rstrip("/")
        tags = read_tags(run_id)
        if MODEL_URI_TAG not in tags:
            raise ModelError(f"run {run_id} ({tags.get('step', 'of another kind')}) logged no model: give a train or export run")
        uri = tags[MODEL_URI_TAG]
    elif not address.startswith(("runs:/", "models:/")):
        raise ModelError(f"model {address!r}: no such folder, and not a run id, runs:/ID or models:/NAME@ALIAS: give one of these")
    folder = _model_folder(download(uri))
    if uri.startswith("runs:/"):  # files of a run, an exported variant say, which are no logged model
        return FoundModel(folder, uri, run_id=uri.removeprefix("runs:/").partition("/")[0])
    info = mlflow.models.get_model_info(uri)
    return FoundModel(folder, uri, info.model_id, info.run_id)


def register(model: LoggedModel, name: str, alias: str | None, tags: dict[str, str], description: str) -> str:
    """Give a proven logged model a version in the registry, once, and then the alias.

    Returns:
        The version.

    Raises:
        TrackingError: the registry refused.
    """
    client = mlflow.MlflowClient()
    try:
        known = [found for found in client.search_model_versions(f"name = '{name}'") if found.source == model.uri]
        entry = known[0] if known else mlflow.register_model(model.uri, name, tags=tags)
        if not known:
            client.update_model_version(name, entry.version, description=description)
        if alias:
            client.set_registered_model_alias(name, alias, entry.version)
    except MlflowException as error:
        raise TrackingError(f"the registry does not take {name!r} ({' '.join(str(error).split())[:300]}): check the name and the server") from error
    return str(entry.version)


def check_registered_name(name: str, alias: str | None) -> None:
    """Refuse names that the registry would refuse, before any work.

    Raises:
        TrackingError: the name or the alias cannot be used.
    """
    if not name or set(name) & set("/:.%\"'"):
        raise TrackingError(f"registered_model {name!r}: must be a name without / : . % and quotation marks")
    if alias and (alias == "latest" or re.fullmatch(r"v\d+", alias) or not re.fullmatch(r"[\w-]+", alias)):
        raise TrackingError(f"alias {alias!r}: must be letters, digits, - and _, and neither 'latest' nor like 'v1': choose e.g. champion")


def _model_folder(path: Path) -> Path:
    for candidate in (path, path / "model", path / "artifacts" / "model", *sorted(path.glob("artifacts/*"))):
        if (candidate / TaggerSpec.FILE).is_file():
            return candidate
    raise ModelError(f"{path}: no {TaggerSpec.FILE}, so not a model of this platform: give a train or export run, or a model it logged")


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _pinned(*names: str) -> list[str]:
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]
