"""The floors of the house: imports go strictly down, and some libraries have one owner each."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_mlflow.exporting.bundle import SERVED_MODULE
from ner_mlflow.source_code import DATA_SUFFIXES, import_closure, source_files

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ner_mlflow"

FLOORS = (
    {"version", "errors", "paths", "redaction", "logs", "source_code", "cpus", "pages", "plotting"}
    | {"private_names", "start_up", "strict_yaml", "liveness", "atomic"}
    | {"full_disks"},
    {"provenance"},
    {"tagging"},
    {"config"},
    {"sweeping"},
    {"data"},
    {"evaluation", "prompting"},
    {"modeling", "weak"},
    {"exporting"},
    {"tracking"},
    {"workflows"},
    {"api"},
    {"__init__", "cli", "demo"},
)
"""Rooms from the ground up; a room imports only from lower floors and from itself, or, on the
ground floor, from beside it."""
OWNERS = {
    "mlflow": ("ner_mlflow/tracking/", "ner_mlflow/tagging/pyfunc.py"),
    "click": ("ner_mlflow/cli/",),
    "openai": ("ner_mlflow/prompting/client.py",),
    "optuna": ("ner_mlflow/sweeping/", "ner_mlflow/tracking/spark_study.py"),
    "onnx": ("ner_mlflow/exporting/",),
    "openvino": ("ner_mlflow/tagging/openvino_engine.py",),
    "onnxruntime": ("ner_mlflow/exporting/", "ner_mlflow/tagging/"),
    "pyspark": tuple(f"ner_mlflow/tracking/spark{part}.py" for part in ("", "_study", "_texts")),
    "peft": ("ner_mlflow/modeling/",),
    "spacy": ("ner_mlflow/data/formats/spacy.py",),
    "ahocorasick_rs": ("ner_mlflow/weak/rules.py",),
    "pygments": ("ner_mlflow/weak/name_lists.py",),
    "trove_classifiers": ("ner_mlflow/weak/name_lists.py",),
    "streamlit": ("ner_mlflow/demo/",),
    "rensa": ("ner_mlflow/weak/near_duplicates.py",),
}
"""Library -> the only places that import it."""
SERVED_LIBRARIES = {"mlflow", "numpy", "onnxruntime", "pandas", "tokenizers"}

MODULES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "entrypoints").glob("*.py")])


def imports(path: Path) -> Iterator[str]:
    """Yield the absolute names of all modules that a file imports, inside functions too."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (
                [prefix] if node.module else [f"{prefix}.{alias.name}" for alias in node.names]
            )


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def identifier(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.is_relative_to(PACKAGE)], ids=identifier
)
def test_imports_go_strictly_down(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        if not module.startswith("ner_mlflow"):
            assert not module.startswith("entrypoints")
            continue
        target = room(module)
        if target == here:
            continue
        beside = floor(target) == floor(here) == 0
        assert floor(target) < floor(here) or beside, (
            f"{here} (floor {floor(here)}) imports {target} (floor {floor(target)})"
        )


@pytest.mark.parametrize("path", MODULES, ids=identifier)
def test_libraries_are_imported_by_their_owners_only(path: Path) -> None:
    for module in imports(path):
        library = module.split(".")[0]
        if library in OWNERS:
            assert identifier(path).startswith(OWNERS[library]), (
                f"{identifier(path)} imports {library}"
            )


def test_the_served_model_needs_the_served_libraries_only() -> None:
    for path in import_closure(SERVED_MODULE):
        for imported in imports(path):
            top = imported.split(".")[0]
            allowed = {"ner_mlflow", *SERVED_LIBRARIES, *sys.stdlib_module_names}
            assert top in allowed, f"{identifier(path)} imports {imported}"


def test_the_served_model_needs_no_room_but_its_own_and_two_modules_of_the_ground_floor() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0] for path in import_closure(SERVED_MODULE)}
    assert rooms == {"tagging", "errors.py", "cpus.py"}


def test_every_table_is_read_by_a_module_that_names_it() -> None:
    files = import_closure(
        *(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    )
    tables = [path for path in source_files() if path.suffix in DATA_SUFFIXES]
    assert tables
    assert [path for path in tables if path not in files] == []


def loaded_modules(code: str) -> set[str]:
    """Return the names of all modules that a fresh interpreter has imported after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('\\nMODULES', *sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.rpartition("MODULES ")[2].split())


def test_commands_that_fit_nothing_start_without_pytorch() -> None:
    names = ("compare", "data", "evaluate", "predict", "promote", "prompt", "robustness", "sync")
    modules = {module for name in names for module in imports(PACKAGE / "cli" / f"{name}.py")}
    loaded = loaded_modules(f"import {', '.join(sorted(modules))}")
    assert {"ner_mlflow.workflows.evaluate", "ner_mlflow.workflows.sync"} <= loaded
    assert not {"torch", "peft"} & loaded


HEAVY = {"torch", "peft", "transformers", "mlflow", "pandas", "matplotlib", "optuna", "pyspark"}
"""Libraries that take a large part of a second or more to import."""


def test_the_help_of_no_step_waits_for_a_large_library() -> None:
    # One after the other in one process: together they import what each of them does.
    code = (
        "from ner_mlflow.cli.console import STEPS, load_command\n"
        "for step in STEPS:\n"
        "    try:\n"
        "        load_command(step)(['--help'])\n"
        "    except SystemExit as ended:\n"
        "        assert not ended.code, step\n"
    )
    loaded = loaded_modules(code)
    assert {"ner_mlflow.cli.train", "ner_mlflow.cli.demo"} <= loaded
    assert not HEAVY & loaded


@pytest.mark.parametrize(
    "step",
    [
        "train",
        *(pytest.param(step, marks=pytest.mark.slow) for step in ("main", "sweep", "export")),
    ],
)
def test_an_option_or_a_setting_that_is_refused_does_not_wait_for_pytorch(
    step: str, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    code = (
        "import os\n"
        f"os.environ['MLFLOW_TRACKING_URI'] = {store!r}\n"
        "from ner_mlflow.cli.console import load_command\n"
        "def refused(*arguments):\n"
        "    try:\n"
        f"        load_command({step!r})([*arguments])\n"
        "    except SystemExit as ended:\n"
        "        assert ended.code, arguments\n"
        "refused('--sed', '3')\n"
        f"assert not {HEAVY!r} & {{*sys.modules}}\n"
        "refused('--train.epochs', 'three')\n"
    )
    loaded = loaded_modules(code)
    assert "ner_mlflow.cli.runs" in loaded
    assert "torch" not in loaded


def test_the_entry_points_stay_thin() -> None:
    for path in (ROOT / "entrypoints").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 6, path


def test_worker_processes_import_nothing_through_the_entry_points() -> None:
    # A spawned process imports the script of its parent under this name.
    code = (
        "import pathlib, runpy, sys\n"
        "for path in pathlib.Path('entrypoints').glob('*.py'):\n"
        "    runpy.run_path(str(path), run_name='__mp_main__')\n"
        "print(*(name for name in sys.modules if name.startswith('ner_mlflow')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert loaded == []


@pytest.mark.parametrize(
    ("code", "asked", "reports"),
    [
        ("import ner_mlflow.cli.data, ner_mlflow.cli.runs", {}, "None"),
        pytest.param("import ner_mlflow.api", {}, "None", marks=pytest.mark.slow),
        pytest.param(
            "import mlflow, ner_mlflow; ner_mlflow.train", {}, "None", marks=pytest.mark.slow
        ),
        ("import ner_mlflow.api", {"MLFLOW_DISABLE_TELEMETRY": "false"}, "<mlflow.telemetry"),
    ],
    ids=["commands", "API", "API after MLflow", "asked for"],
)
def test_no_telemetry_is_sent_unless_asked_for(
    code: str, asked: dict[str, str], reports: str
) -> None:
    # MLflow reports nothing where it sees tests or CI either; a user's shell has neither.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "NER_MLFLOW_CACHE")
    }
    # The client reports to an address that is never there.
    offline = "import os; os.environ |= dict(HTTPS_PROXY='http://127.0.0.1:9')"
    shown = "from mlflow.telemetry.client import get_telemetry_client as get; print(get())"
    done = subprocess.run(
        [sys.executable, "-c", f"{offline}\n{code}\n{shown}"],
        cwd=ROOT,
        env={**environment, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(reports)
