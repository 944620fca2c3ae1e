"""One set of pins, written in four files."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from scripts.lock import LOCKS, TESTED, locked, normalised

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if "==" in line]


def test_requirements_are_the_pins_of_pyproject() -> None:
    assert (
        pins((ROOT / "requirements.txt").read_text(encoding="utf-8")) == PYPROJECT["dependencies"]
    )


def test_development_requirements_are_the_pins_of_the_extra_dev() -> None:
    assert (
        pins((ROOT / "requirements-dev.txt").read_text(encoding="utf-8"))
        == PYPROJECT["optional-dependencies"]["dev"]
    )


def test_conda_builds_the_same_pins() -> None:
    environment = yaml.safe_load((ROOT / "conda.yaml").read_text(encoding="utf-8"))
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == PYPROJECT["dependencies"]


def test_every_dependency_is_pinned_to_one_version() -> None:
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in PYPROJECT["dependencies"])


def test_pre_commit_runs_the_pinned_ruff_and_mypy() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {hook["language"] for repository in hooks["repos"] for hook in repository["hooks"]} == {
        "system"
    }


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_has_every_pin_of_its_source(name: str) -> None:
    sources = [ROOT / LOCKS[name]]
    text = sources[0].read_text(encoding="utf-8")
    sources += [sources[0].with_name(other) for other in re.findall(r"^-r (.+)$", text, re.M)]
    versions = locked((ROOT / name).read_text(encoding="utf-8"))
    found = [pin for source in sources for pin in pins(source.read_text(encoding="utf-8"))]
    assert len(found) > 2
    for pin in found:
        package, version = pin.partition(";")[0].strip().split("==")
        assert versions.get(normalised(package.partition("[")[0])) == [version], (
            f"{name} does not have {pin}: run python -m scripts.lock"
        )


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_has_a_hash_of_each_package_and_names_no_host(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.split(r"^(?=\w)", text.partition("\n")[2], flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[\w.-]+(\[[\w,.-]+\])?==\S+", entry)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
    assert not re.search(r"://|^\s*-[if]|^\s*--(?!hash)", text, re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_installed_is_what_is_tested(name: str) -> None:
    tested = locked((ROOT / TESTED).read_text(encoding="utf-8"))
    versions = locked((ROOT / name).read_text(encoding="utf-8"))
    assert {package: tested.get(package) for package in versions} == versions


def test_names_of_packages_are_compared_as_indexes_compare_them() -> None:
    assert normalised("Flask_WTF.x") == normalised("flask-wtf-x")
    text = 'a-b==1.0 \\\n    --hash=sha256:0\nc[d]==2 ; sys_platform == "linux" \\\n'
    assert locked(text) == {"a-b": ["1.0"], "c": ["2"]}
