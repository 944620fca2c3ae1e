"""The folders of the tests: tests/unit mirrors the package, and test files name no other module."""

from pathlib import Path

import conftest

ROOT = conftest.ROOT
UNIT = ROOT / "tests" / "unit"
PACKAGE = ROOT / "ner_mlflow"

ACROSS_MODULES = {
    "test_architecture.py": "imports of all modules",
    "test_deploy.py": "the files of deploy/",
    "test_documentation.py": "the README and the pages of docs/",
    "test_environment.py": "the pins of the dependencies",
    "test_hostile_input.py": "broken and hostile input of every kind",
    "test_release.py": "the files that name the version, and the workflows",
    "test_tests.py": "this file",
    "data/test_kinds_of_files.py": "files as tools and public corpora write them",
    "data/formats/test_round_trip.py": "what all formats write and read again",
    "workflows/test_cache_keys.py": "the steps that a change of any module repeats",
}
"""Test file -> its subject, for files that test no single module."""


def test_every_unit_test_file_is_named_after_a_module() -> None:
    files = {path.relative_to(UNIT) for path in UNIT.rglob("test_*.py")}
    for file in files - {Path(name) for name in ACROSS_MODULES}:
        module = PACKAGE / file.with_name(file.name.removeprefix("test_"))
        assert module.is_file(), f"tests/unit/{file} tests no module"
    assert {Path(name) for name in ACROSS_MODULES} <= files


def test_the_files_that_start_first_exist() -> None:
    assert [name for name in conftest.LONGEST if not (conftest.TESTS / name).is_file()] == []
