"""The code that travels with a registered model: a copy of the few modules that tagging needs, under a name of its own.

The copy's package name ends in a hash of its content. So a model that MLflow loads, in a service or on Spark, runs the code it was
proven with, wherever this package is installed in another version, and two models of different versions can be loaded side by side
in one process. This package's own steps, local `predict` among them, open a model's files with the code that is installed.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..provenance import PACKAGE

SERVED_MODULES = (
    "bio.py",
    "casing.py",
    "decoding.py",
    "encoding.py",
    "errors.py",
    "serving/__init__.py",
    "serving/pyfunc.py",
    "serving/recognizer.py",
    "serving/text.py",
    "tagger.py",
)
"""They import each other relatively, and beside that the standard library and the served model's requirements alone."""

REQUIREMENTS = ("mlflow", "onnxruntime", "tokenizers", "numpy", "pandas")
"""Distributions that the served model runs on."""


@dataclass(frozen=True)
class CodeBundle:
    """``entry`` is the file that MLflow executes to get the model; ``package`` the folder of modules that it imports."""

    entry: Path
    package: Path


def write_code_bundle(folder: Path) -> CodeBundle:
    """Copy the served modules under ``folder``."""
    digest = hashlib.sha256()
    for module in SERVED_MODULES:
        digest.update(module.encode() + b"\0" + (PACKAGE / module).read_bytes())
    package = folder / f"ner_mlflow_{digest.hexdigest()[:12]}"
    for module in SERVED_MODULES:
        (package / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / module, package / module)
    (package / "__init__.py").write_text('"""The part of ner_mlflow that this model runs on."""\n', encoding="utf-8")
    entry = folder / "served_model.py"
    entry.write_text(
        f'"""What MLflow executes to load this model."""\n\nfrom mlflow.models import set_model\n\n'
        f"from {package.name}.serving.pyfunc import ServedModel\n\nset_model(ServedModel())\n",
        encoding="utf-8",
    )
    return CodeBundle(entry, package)
