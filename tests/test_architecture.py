"""The floors of the house: imports go strictly down, and some libraries have one owner each."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_mlflow.export.bundle import SERVED_MODULES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ner_mlflow"

FLOORS = (
    {"__init__", "redaction", "logs", "errors", "paths", "bio", "casing", "labels", "decoding", "encoding"},
    {"config", "provenance", "results", "tagger"},
    {"data", "evaluation"},
    {"modeling", "prompting", "serving", "sweeping"},
    {"export"},
    {"tracking"},
    {"workflows"},
)
"""Rooms from the ground up; a room imports only from lower floors and from itself, or, on the lower two, from beside it."""
EXCEPTIONS = {("evaluation", "data")}
"""Rooms on one floor that may see each other: errors are shown with the sentences they stand in."""
OWNERS = {
    "mlflow": ("ner_mlflow/tracking/", "ner_mlflow/serving/pyfunc.py"),
    "click": ("entrypoints/",),
    "openai": ("ner_mlflow/prompting/client.py",),
    "optuna": ("ner_mlflow/sweeping/", "ner_mlflow/tracking/spark_study.py"),
    "onnx": ("ner_mlflow/export/",),
    "onnxruntime": ("ner_mlflow/export/", "ner_mlflow/serving/"),
    "pyspark": ("ner_mlflow/tracking/spark.py", "ner_mlflow/tracking/spark_study.py"),
    "peft": ("ner_mlflow/modeling/",),
}
"""Library -> the only places that import it."""
SERVED_LIBRARIES = {"mlflow", "numpy", "onnxruntime", "pandas", "tokenizers"}

MODULES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "entrypoints").glob("*.py")])


def imports(path: Path) -> Iterator[str]:
    """Absolute names of all modules a file imports, inside functions too."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from ([prefix] if node.module else [f"{prefix}.{alias.name}" for alias in node.names])


def room(module: str) -> str:
    name = module.split(".")[1] if "." in module else "__init__"
    return "__init__" if name == "__version__" else name


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def identifier(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [path for path in MODULES if path.is_relative_to(PACKAGE)], ids=identifier)
def test_imports_go_strictly_down(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        if not module.startswith("ner_mlflow"):
            assert not module.startswith("entrypoints")
            continue
        there = room(module)
        if there == here or (here, there) in EXCEPTIONS:
            continue
        beside = floor(there) == floor(here) <= 1
        assert floor(there) < floor(here) or beside, f"{here} (floor {floor(here)}) imports {there} (floor {floor(there)})"


@pytest.mark.parametrize("path", MODULES, ids=identifier)
def test_libraries_are_imported_by_their_owners_only(path: Path) -> None:
    for module in imports(path):
        library = module.split(".")[0]
        if library in OWNERS:
            assert identifier(path).startswith(OWNERS[library]), f"{identifier(path)} imports {library}"


@pytest.mark.parametrize("module", SERVED_MODULES)
def test_the_served_modules_need_each_other_and_the_served_libraries_only(module: str) -> None:
    served = {f"ner_mlflow.{name.removesuffix('.py').replace('/', '.')}" for name in SERVED_MODULES}
    for imported in imports(PACKAGE / module):
        top = imported.split(".")[0]
        assert imported in served or top in SERVED_LIBRARIES or top in sys.stdlib_module_names, f"{module} imports {imported}"


def test_commands_that_fit_nothing_start_without_pytorch() -> None:
    names = ("compare", "data", "evaluate", "predict", "promote", "prompt", "robustness")
    code = f"import sys, {', '.join(f'entrypoints.{name}' for name in names)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "ner_mlflow.workflows.evaluate" in loaded
    assert not {"torch", "peft"} & set(loaded)


def test_the_entry_points_stay_thin() -> None:
    for path in (ROOT / "entrypoints").glob("*.py"):
        if path.name != "cli.py":
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 60, path


def test_commands_send_no_telemetry() -> None:
    # MLflow reports nothing where it sees tests or CI either; a user's shell has neither.
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "NER_MLFLOW_CACHE")}
    code = "import entrypoints.data; from mlflow.telemetry.client import get_telemetry_client as get; print(get())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"
