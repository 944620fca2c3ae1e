"""The code that travels with a registered model: a copy of the few modules that tagging needs, under a name of its own.

The copy's package name ends in a hash of its content. So a model that MLflow loads, in a service or on Spark, runs the code it was
proven with, wherever this package is installed in another version, and two models of different versions can be loaded side by side
in one process. This package's own steps, local `predict` among them, open a model's files with the code that is installed.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ..source_code import PACKAGE, fingerprint, import_closure

SERVED_MODULE = "tagging/pyfunc.py"
"""What MLflow loads; the bundle holds it and all that it imports."""

REQUIREMENTS = ("mlflow", "onnxruntime", "tokenizers", "numpy", "pandas")
"""Distributions that the served model runs on."""


@dataclass(frozen=True)
class CodeBundle:
    """``entry`` is the file that MLflow executes to get the model; ``package`` the folder of modules that it imports."""

    entry: Path
    package: Path


def write_code_bundle(folder: Path) -> CodeBundle:
    """Copy the served module and its imports under ``folder``."""
    files = import_closure(SERVED_MODULE)
    package = folder / f"ner_mlflow_{fingerprint(files)[:12]}"
    for file in files:
        copy = package / file.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    (package / "__init__.py").write_text(
        '"""The part of ner_mlflow that this model runs on."""\n', encoding="utf-8"
    )
    entry = folder / "served_model.py"
    entry.write_text(
        f'"""What MLflow executes to load this model."""\n\nfrom mlflow.models import set_model\n\n'
        f"from {package.name}.tagging.pyfunc import ServedModel\n\nset_model(ServedModel())\n",
        encoding="utf-8",
    )
    return CodeBundle(entry, package)
