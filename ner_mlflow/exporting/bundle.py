"""Copy the code that a logged model runs on, so that it travels with the model.

The copy is a package whose name ends in a hash of its content. A model that MLflow loads, in a
service or on Spark, therefore runs the code it was proven with, even if another version of this
package is installed. Models of different versions can be loaded in one process. The steps of this
package, local `predict` included, open a model's files with the installed code.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ..source_code import PACKAGE, fingerprint, import_closure
from ..tagging.engines import DEFAULT, ENGINES, Engine, find_engine

SERVED_MODULE = "tagging/pyfunc.py"
"""The module of the served model, :class:`~ner_mlflow.tagging.pyfunc.ServedModel`."""
TRAINED_MODULE = "modeling/pyfunc.py"
"""The module of a model as it is trained, :class:`~ner_mlflow.modeling.pyfunc.TrainedModel`."""
_CLASSES = {SERVED_MODULE: "ServedModel", TRAINED_MODULE: "TrainedModel"}

REQUIREMENTS = ("mlflow", "onnxruntime", "tokenizers", "numpy", "pandas")
"""Distributions that a served model needs, beside that of its engine."""
TRAINED_REQUIREMENTS = (
    *REQUIREMENTS,
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "pydantic",
    "PyYAML",
)
"""Distributions that a model as it is trained needs."""


@dataclass(frozen=True)
class CodeBundle:
    """A model's code: ``entry``, the file that MLflow executes, imports from ``package``."""

    entry: Path
    package: Path


def served_requirements(engine: Engine) -> tuple[str, ...]:
    """Return the distributions that a served model needs."""
    return tuple(dict.fromkeys((*REQUIREMENTS, engine.name)))


def engine_states(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the version and the fingerprint of the code of engines, by name.

    Modules import the code of an engine by its name, so it is not among what they depend on.

    Raises:
        ModelError: one is unknown or not installed.
    """
    states = {}
    for engine in map(find_engine, names):
        engine.check()
        states[engine.name] = version(engine.name), fingerprint(import_closure(engine.source))
    return states


def write_code_bundle(
    folder: Path, module: str = SERVED_MODULE, engine: Engine = ENGINES[DEFAULT]
) -> CodeBundle:
    """Copy a module with the class of a model, and everything that it imports, into ``folder``.

    Args:
        folder: where to write.
        module: :data:`SERVED_MODULE` or :data:`TRAINED_MODULE`.
        engine: the engine that computes the model.
    """
    files = import_closure(module, engine.source)
    package = folder / f"ner_mlflow_{fingerprint(files)[:12]}"
    for file in files:
        copy = package / file.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    (package / "__init__.py").write_text(
        '"""The part of ner_mlflow that this model runs on."""\n', encoding="utf-8"
    )
    entry = folder / "served_model.py"
    path, name = module.removesuffix(".py").replace("/", "."), _CLASSES[module]
    entry.write_text(
        f'"""The file that MLflow executes to load this model."""\n\n'
        f"from mlflow.models import set_model\n\n"
        f"from {package.name}.{path} import {name}\n\nset_model({name}())\n",
        encoding="utf-8",
    )
    return CodeBundle(entry, package)
