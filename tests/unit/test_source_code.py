"""The files that a module's results depend on, derived from its source."""

from pathlib import Path

import pytest

from ner_mlflow import source_code
from ner_mlflow.source_code import fingerprint, import_closure, source_files

FILES = {
    "__init__.py": "",
    "errors.py": "",
    "core/__init__.py": "",
    "core/start.py": "from . import middle\nfrom ..errors import Error\nimport json\n",
    "core/middle.py": "def f():\n    from .end import g\n",
    "core/end.py": 'from .start import x\nTABLE = "table.yaml"\n',
    "core/unused.py": 'OTHER = "other.yaml"\n',
    "core/table.yaml": "a: 1\n",
    "core/other.yaml": "b: 2\n",
    "core/notes.rst": "",
    "reader.py": 'FOLDER = "presets"\n',
    "presets/one.yaml": "",
    "presets/two.yaml": "",
    "store/__init__.py": "",
    "store/writer.py": "from . import client\n",
    "store/format.py": "from ..errors import Error\n",
    "store/client.py": "",
    "step.py": "from .core import end\nfrom .store import format, writer\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package in place of this one."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(source_code, "PACKAGE", tmp_path)
    return tmp_path


def closure(package: Path, *modules: str, **options: tuple[str, ...]) -> list[str]:
    files = import_closure(*modules, **options)
    return [path.relative_to(package).as_posix() for path in files]


def test_imports_are_followed_through_functions_and_circles_to_the_tables_that_are_named(
    package: Path,
) -> None:
    circle = ["core/end.py", "core/middle.py", "core/start.py"]
    for module in circle:
        assert closure(package, module) == [*circle, "core/table.yaml", "errors.py"]


def test_a_folders_name_covers_all_its_data_files(package: Path) -> None:
    assert closure(package, "reader.py") == ["presets/one.yaml", "presets/two.yaml", "reader.py"]


def test_rooms_are_left_out_with_their_imports_except_for_modules_to_keep(package: Path) -> None:
    everything = closure(package, "step.py")
    assert {"store/writer.py", "store/client.py", "store/format.py"} <= set(everything)
    without = closure(package, "step.py", without=("store",))
    assert [name for name in without if name.startswith("store")] == []
    with_store = closure(package, "step.py", without=("store",), keep=("store/format.py",))
    assert [name for name in with_store if name.startswith("store")] == ["store/format.py"]


def test_a_given_module_is_in_its_closure_even_in_a_room_that_is_left_out(package: Path) -> None:
    assert closure(package, "store/writer.py", without=("store",)) == ["store/writer.py"]


def test_source_files_are_modules_and_data_files(package: Path) -> None:
    names = {path.relative_to(package).as_posix() for path in source_files()}
    assert names == set(FILES) - {"core/notes.rst"}


def test_a_fingerprint_depends_on_names_and_contents_and_not_on_order(package: Path) -> None:
    first, second = package / "core/table.yaml", package / "core/other.yaml"
    before = fingerprint([first, second])
    assert fingerprint([second, first]) == before
    first.write_text("a: 2\n", encoding="utf-8")
    assert fingerprint([first, second]) != before
    first.write_text("a: 1\n", encoding="utf-8")
    assert fingerprint([first, second]) == before
    renamed = first.rename(package / "core/renamed.yaml")
    assert fingerprint([renamed, second]) != before
